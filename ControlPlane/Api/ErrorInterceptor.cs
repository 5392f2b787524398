using DeepSeekOps.Contracts.Ops.V1;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>
/// What a call threw, as a status code with words. Refusals are thrown as RpcException where they are known; what is left are a silo that
/// is just stopping or moving a grain (try again) and our own mistakes (logged with their stack, told without it).
/// </summary>
internal sealed partial class ErrorInterceptor(HealthBoard health, ILogger<ErrorInterceptor> log) : Interceptor
{
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            RefuseCommandWithoutStore(request);
            return await continuation(request, context);
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw Said(e, context);
        }
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(request, responseStream, context);
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw Said(e, context);
        }
    }

    /// <summary>
    /// Before it waits for a database that is known not to answer. Agents are heard all the same: what they bring stays with them.
    /// </summary>
    private void RefuseCommandWithoutStore(object request)
    {
        if (health.StoreRefusal is { } words && IsCommand(request))
        {
            throw new RpcException(new Status(StatusCode.Unavailable, words));
        }
    }

    private static bool IsCommand(object request) => request is SubmitRunRequest or RunCommand or RetryRunRequest or NodeCommand
        or MoveWaitingGangRequest or GiveWayRequest or PlanMaintenanceRequest or CancelMaintenanceRequest;

    private RpcException Said(Exception e, ServerCallContext context)
    {
        if (context.CancellationToken.IsCancellationRequested)
        {
            return new RpcException(new Status(StatusCode.Cancelled, "The caller went away."));
        }
        if (health.WordsFor(e) is { } away)
        {
            return new RpcException(new Status(StatusCode.Unavailable, away));
        }
        if (e is Orleans.Runtime.OrleansMessageRejectionException or Orleans.Runtime.SiloUnavailableException or OperationCanceledException)
        {
            return new RpcException(
                new Status(StatusCode.Unavailable, "The control plane is starting, stopping or moving this run; try again."));
        }
        if (e is TimeoutException)
        {
            return new RpcException(new Status(StatusCode.DeadlineExceeded, "The control plane did not get an answer in time; try again."));
        }
        Failed(log, context.Method, e);
        return new RpcException(new Status(StatusCode.Internal, "Internal error; see the control plane's log."));
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} failed")]
    private static partial void Failed(ILogger log, string method, Exception e);
}
