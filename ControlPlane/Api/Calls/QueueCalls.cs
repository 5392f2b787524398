using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Placement;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>The queue and the calendar by hand.</summary>
internal sealed class QueueCalls(WholeCluster whole)
{
    private const int NodesInARequest = 100_000;

    public Task<Cluster> MoveWaitingGang(MoveWaitingGangRequest request, ServerCallContext context)
    {
        var stage = Checked.Stage(request.Run, request.Stage);
        StageId? before = request.BeforeRun.Length + request.BeforeStage.Length == 0 ? null
            : Checked.Stage(request.BeforeRun, request.BeforeStage);
        return Unless(whole.Grain.Move(stage, before, Or(request.Reason), context.CancellationToken));
    }

    public Task<Cluster> GiveWay(GiveWayRequest request, ServerCallContext context)
    {
        if (request.Gangs.Count == 0)
        {
            throw Checked.Invalid("gangs is empty; name at least one as run/stage.");
        }

        StageId? heir = request.For.Length == 0 ? null : Checked.Gang(request.For, "for");
        return Unless(
            whole.Grain.GiveWay(
                [.. request.Gangs.Select(g => Checked.Gang(g, "gangs"))], heir, Or(request.Reason), context.CancellationToken));
    }

    public Task<Cluster> PlanMaintenance(PlanMaintenanceRequest request, ServerCallContext context)
    {
        if (request.Nodes.Count > NodesInARequest)
        {
            throw Checked.Invalid($"nodes has {request.Nodes.Count} names; at most {NodesInARequest} make a maintenance.");
        }

        ImmutableArray<NodeId> nodes = [.. request.Nodes.Select(n => new NodeId(Checked.Name(n, "nodes"))).Distinct()];
        var window = new MaintenanceWindow(Checked.Name(request.Name, "name"), nodes, Checked.OptionalName(request.Group, "group") ?? "",
            Checked.Time(request.From, "from"), Checked.Time(request.Until, "until"), Or(request.Reason));
        return Unless(whole.Grain.Plan(window, context.CancellationToken));
    }

    public Task<Cluster> CancelMaintenance(CancelMaintenanceRequest request, ServerCallContext context) =>
        Unless(whole.Grain.CancelMaintenance(Checked.Name(request.Name, "name"), context.CancellationToken));

    private async Task<Cluster> Unless(Task<string?> refusal) => await refusal is { } why
        ? throw new RpcException(new Status(StatusCode.FailedPrecondition, $"{why}.")) : await whole.Described();

    private static string Or(string reason) => Checked.Reason(reason) is { Length: > 0 } given ? given : "no reason given";
}
