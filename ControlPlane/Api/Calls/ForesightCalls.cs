using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using Grpc.Core;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>What an action would do, asked before it is done.</summary>
internal sealed class ForesightCalls(IGrainFactory grains, KnownRuns known, WholeCluster whole)
{
    public async Task<Proto.Foresight> Foresee(Proto.ForeseeRequest request, ServerCallContext context)
    {
        var stop = context.CancellationToken;
        var foresight = request.Action switch
        {
            "pause" => await OfRun(request, RunForesight.Pause, stop),
            "cancel" => await OfRun(request, RunForesight.Cancel, stop),
            "retry" => await OfRun(request, (run, _) => RunForesight.Retry(
                run, Checked.OptionalName(request.Stage, "stage") ?? "",
                request.HasCheckpointStep ? Checked.NotNegative(request.CheckpointStep, "checkpointStep") : null), stop),
            "move" => await whole.Grain.ForeseeMove(OneGang(request), Optional(request.Before, "before"), stop),
            "preempt" =>
                await whole.Grain.ForeseeGiveWay(
                    [.. request.Gangs.Select(g => Checked.Gang(g, "gangs"))], Optional(request.For, "for"), stop),
            "cordon" or "drain" =>
                await whole.Grain.ForeseeNode(new NodeId(Checked.Name(request.Node, "node")), request.Action == "drain", stop),
            _ => throw Checked.Invalid($"action '{Checked.Shown(request.Action)}' is none of pause, cancel, retry, move, "
                + "preempt, cordon and drain."),
        };
        return new Proto.Foresight { Consequences = { foresight.Consequences }, Impossible = foresight.Impossible };
    }

    private async Task<Foresight> OfRun(Proto.ForeseeRequest request, Func<RunView, PipelineSpec, Foresight> foresee,
        CancellationToken cancellation)
    {
        string name = Checked.Name(request.Run, "run");
        var run = await known.Described(name, cancellation);
        return await grains.GetGrain<IRunGrain>(name).Submission() is { } submission ? foresee(run, submission.Pipeline)
            : throw await known.NoSuchRun(name, cancellation);
    }

    private static StageId OneGang(Proto.ForeseeRequest request) => request.Gangs is [var only] ? Checked.Gang(only, "gangs")
        : throw Checked.Invalid($"gangs has {request.Gangs.Count} names; a move is of one, as run/stage.");

    private static StageId? Optional(string gang, string field) => gang.Length == 0 ? null : Checked.Gang(gang, field);
}
