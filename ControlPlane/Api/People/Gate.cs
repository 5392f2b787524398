using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions.People;
using Google.Protobuf;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.People;

/// <summary>
/// What an endpoint needs that is no call of OpsService. In its metadata, since a path can be written in several ways.
/// </summary>
internal sealed record NeededRight(string Act, Need Need);

/// <summary>
/// The one place that asks whether somebody may: for calls of OpsService by whatever door, for series and for metrics. Who it is,
/// <see cref="AccessGuard"/> has found out; what each call needs stands in <see cref="OpsActs"/>.
/// </summary>
internal sealed class Gate(IGrainFactory grains)
{
    private const string Series = "/series";
    private static readonly Need ToLook = new(Role.Viewer, Reach.Run);

    public static Holder Of(ServerCallContext context) => Of(context.GetHttpContext());

    public static Holder Of(HttpContext context) => context.Features.Get<Holder>()
        ?? throw new InvalidOperationException($"{context.Request.Path} was reached by nobody who was let in");

    /// <exception cref="RpcException">He may not; the words say what is needed.</exception>
    public async Task Demand(ServerCallContext context, OpsAct act, IMessage request)
    {
        var who = Of(context);
        string run = OpsActs.RunOf(request, act);
        Demand(Rights.Refusal(who, act.Name, act.Need, run));
        if (act.Need.Reach is Reach.Run or Reach.RunOrList or Reach.RunOrEveryTeam && run.Length > 0)
        {
            Demand(await RefusalOfRun(who, act.Name, run));
        }
    }

    /// <summary>For who has read in a text whose team it is about.</summary>
    public static void DemandTeam(ServerCallContext context, string act, string run, string team) =>
        DemandTeam(context.GetHttpContext(), act, run, team);

    /// <inheritdoc cref="DemandTeam(ServerCallContext, string, string, string)"/>
    public static void DemandTeam(HttpContext context, string act, string run, string team) =>
        Demand(Rights.RefusalOfRun(Of(context), act, run, team));

    public static void Demand(string? refusal)
    {
        if (refusal is not null)
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied, refusal));
        }
    }

    /// <summary>
    /// Of what is no call: null, it is neither series nor metrics, or what he may see. What it names besides is refused by who answers it.
    /// </summary>
    public async Task<string?> RefusalOfPath(HttpContext context, Holder who)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<NeededRight>() is { } needed)
        {
            string about = needed.Need.Reach is Reach.Run ? context.Request.Query["run"].ToString() : "";
            return Rights.Refusal(who, needed.Act, needed.Need, about)
                ?? (needed.Need.Reach is Reach.Run ? await RefusalOfRun(who, needed.Act, about) : null);
        }

        if (!context.Request.Path.StartsWithSegments(Series, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        if (Rights.Refusal(who, "series", ToLook, "") is { } refusal)
        {
            return refusal;
        }

        var query = context.Request.Query;
        var runs = query["run"].Concat(query["of"].SelectMany(of => (of ?? "").Split(',')).Select(of => of.Split('/')[0]));
        foreach (string run in runs.OfType<string>().Where(r => r.Length > 0).Distinct())
        {
            if (await RefusalOfRun(who, "series", run) is { } notHis)
            {
                return notHis;
            }
        }

        return null;
    }

    private async Task<string?> RefusalOfRun(Holder who, string act, string run)
    {
        if (who.Team.Length == 0)
        {
            return null;
        }

        string? team = Checked.CouldBeKept(run) ? (await grains.GetGrain<IRunGrain>(run).Summary())?.Team : null;
        return Rights.RefusalOfRun(who, act, Checked.Shown(run), team);
    }
}
