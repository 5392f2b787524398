using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using Grpc.Core;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>What an action would do, asked before it is done.</summary>
internal sealed partial class OpsGrpcService
{
    public override async Task<Proto.Foresight> Foresee(Proto.ForeseeRequest request, ServerCallContext context)
    {
        var stop = context.CancellationToken;
        var foresight = request.Action switch
        {
            "pause" => await OfRun(request, RunForesight.Pause, stop),
            "cancel" => await OfRun(request, RunForesight.Cancel, stop),
            "retry" => await OfRun(request, (run, _) => RunForesight.Retry(
                run, Checked.OptionalName(request.Stage, "stage") ?? "",
                request.HasCheckpointStep ? Checked.NotNegative(request.CheckpointStep, "checkpointStep") : null), stop),
            "move" => await ClusterOf().ForeseeMove(OneGang(request), Optional(request.Before, "before"), stop),
            "preempt" =>
                await ClusterOf().ForeseeGiveWay([.. request.Gangs.Select(g => Gang(g, "gangs"))], Optional(request.For, "for"), stop),
            "cordon" or "drain" =>
                await ClusterOf().ForeseeNode(new NodeId(Checked.Name(request.Node, "node")), request.Action == "drain", stop),
            _ => throw Checked.Invalid($"action '{Checked.Shown(request.Action)}' is none of pause, cancel, retry, move, "
                + "preempt, cordon and drain."),
        };
        return new Proto.Foresight { Consequences = { foresight.Consequences }, Impossible = foresight.Impossible };
    }

    private async Task<Foresight> OfRun(Proto.ForeseeRequest request, Func<RunView, PipelineSpec, Foresight> foresee,
        CancellationToken cancellation)
    {
        string name = Checked.Name(request.Run, "run");
        var run = await Described(name, cancellation);
        return await grains.GetGrain<IRunGrain>(name).Submission() is { } submission ? foresee(run, submission.Pipeline)
            : throw await NoSuchRun(name, cancellation);
    }

    private static StageId OneGang(Proto.ForeseeRequest request) => request.Gangs is [var only] ? Gang(only, "gangs")
        : throw Checked.Invalid($"gangs has {request.Gangs.Count} names; a move is of one, as run/stage.");

    private static StageId? Optional(string gang, string field) => gang.Length == 0 ? null : Gang(gang, field);
}
