using System.Security.Cryptography;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage.Audit;
using DeepSeekOps.Decisions.Audit;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace DeepSeekOps.ControlPlane.Api.People;

/// <summary>
/// Every call of people passes here, whatever door it comes by: it is looked up in <see cref="OpsActs"/>, <see cref="Gate"/> says whether
/// the caller may, and what changes something leaves a line in the audit log, also where it was refused.
/// </summary>
internal sealed partial class ActInterceptor(
    AuditLog audit, Gate gate, CallLimits limits, TimeProvider clock, ILogger<ActInterceptor> log) : Interceptor
{
    private const string Pending = "dsops.act";
    private const int WordsMost = 500;

    private static readonly string Ours = $"/{OpsService.Descriptor.FullName}/";

    /// <summary>What a submission is about stands in its text, which its call has read.</summary>
    public static void Found(ServerCallContext context, string run)
    {
        if (context.UserState.TryGetValue(Pending, out object? known) && known is AuditAct act)
        {
            act = act with { Run = run, Target = run };
            context.UserState[Pending] = act;
            Asked.For(act);
        }
    }

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        TResponse? response = default;
        await Pass(request, context, async () => response = await continuation(request, context));
        return response!;
    }

    public override Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation) =>
        Pass(request, context, () => continuation(request, responseStream, context));

    private async Task Pass<TRequest>(TRequest request, ServerCallContext context, Func<Task> call)
    {
        if (!context.Method.StartsWith(Ours, StringComparison.Ordinal))
        {
            // An agent's report: it was let in by its own token, for its own gang.
            await call();
            return;
        }

        var known = OpsActs.Called(context.Method) ?? throw new RpcException(new Status(
            StatusCode.PermissionDenied, $"{context.Method} is in no table of who may call it, so nobody may."));
        var message = (IMessage)request!;
        if (known.Told == Told.Never)
        {
            await gate.Demand(context, known, message);
            await call();
            return;
        }

        var act = Of(known, message, context);
        await Demand(known, message, act, context);
        await Watched(act, known.Told, context, call);
    }

    /// <summary>That somebody tried what he may not is told.</summary>
    private async Task Demand(OpsAct known, IMessage message, AuditAct act, ServerCallContext context)
    {
        try
        {
            await gate.Demand(context, known, message);
        }
        catch (RpcException e)
        {
            limits.Refused(Gate.Of(context));
            await Refused(act, known.Told, e.Status.Detail);
            throw;
        }
    }

    private async Task Watched(AuditAct act, Told told, ServerCallContext context, Func<Task> call)
    {
        context.UserState[Pending] = act;
        if (told == Told.Before)
        {
            await audit.Append([act with { Outcome = AuditAct.Begun }], context.CancellationToken);
        }
        else
        {
            Asked.For(act);
        }

        try
        {
            await call();
        }
        catch (RpcException e)
        {
            await Refused(Now(context, act), told, e.Status.Detail);
            throw;
        }

        if (told == Told.WithTheAct)
        {
            // Where something was written the line is there. Asked for twice, nothing had to be: that it was asked for is told too.
            await audit.Append([Now(context, act)], CancellationToken.None);
        }
    }

    private static AuditAct Now(ServerCallContext context, AuditAct act) => context.UserState[Pending] as AuditAct ?? act;

    /// <summary>
    /// What the caller is told goes first: a database that takes no line now would say why with the next call.
    /// </summary>
    private async Task Refused(AuditAct act, Told told, string why)
    {
        string words = why.Length <= WordsMost ? why : $"{why[..WordsMost]}…";
        try
        {
            await audit.Append([act with
            {
                Id = told == Told.Before || act.From == OpsActs.Kubectl ? $"{act.Id}-refused" : act.Id,
                Outcome = AuditAct.Refused(words.ReplaceLineEndings(" ")),
            }], CancellationToken.None);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            NotWritten(log, act.Act, e);
        }
    }

    private AuditAct Of(OpsAct known, IMessage request, ServerCallContext context)
    {
        var (caller, about) = (Caller.Of(context), known.Of(request));
        string who = about.By.Length > 0 && caller.NamesItself ? about.By : caller.Who;
        return new AuditAct(IdOf(request, caller), clock.GetUtcNow(), Short(who), caller.By, caller.From, known.Name,
            Short(about.Run), Short(about.Target), Short(about.Why), AuditAct.Done);
    }

    /// <summary>A resource that is refused is tried again each minute: the same spec of the same one is told once.</summary>
    private static string IdOf(IMessage request, Caller caller) => caller.From == OpsActs.Kubectl
        ? Convert.ToHexStringLower(SHA256.HashData(request.ToByteArray()))[..32] : Guid.CreateVersion7().ToString("N");

    /// <summary>What a request says is not checked yet here.</summary>
    private static string Short(string text) =>
        Checked.Words(string.Concat(text.Select(c => char.IsControl(c) ? ' ' : c)).Trim(), WordsMost);

    [LoggerMessage(Level = LogLevel.Error, Message = "That {Act} was refused could not be written into the audit log")]
    private static partial void NotWritten(ILogger log, string act, Exception e);
}
