using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tracing;
using Grpc.Core;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>Steps that ranks record while they train.</summary>
internal sealed class TraceCalls(KnownRuns runs, IGrainFactory grains, TraceStore traces, ITrainingCluster cluster)
{
    private const int StepsUnsaid = 2;

    private static readonly TimeSpan WithinUnsaid = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan WithinMax = TimeSpan.FromHours(1);

    public async Task<Proto.Trace> RecordTrace(Proto.RecordTraceRequest request, ServerCallContext context)
    {
        string run = await runs.Existing(request.Run, context.CancellationToken);
        int steps = request.Steps == 0 ? StepsUnsaid : request.Steps;
        if (steps is < 1 or > TraceOrder.StepsMax)
        {
            throw Checked.Invalid($"steps is {request.Steps}; write 1 to {TraceOrder.StepsMax}.");
        }

        var within = request.Within is { } said ? Checked.Span(said, "within") : WithinUnsaid;
        if (within < TimeSpan.FromSeconds(1) || within > WithinMax)
        {
            throw Checked.Invalid($"within is {within.TotalSeconds:0.###} s; write 1 s to 1 h.");
        }

        var stage = await Running(run, Checked.OptionalName(request.Stage, "stage"), context.CancellationToken)
            ?? throw NotNow($"No stage of {run} trains, so there is no step to record. Ask again when one does.");
        if (cluster.Simulated)
        {
            throw NotNow($"{stage} trains on a simulated cluster: its ranks are not processes and make no calls that could be recorded. "
                + "`dsops plan FILE` tells the step that its schedule makes.");
        }

        var view = await Grain(stage).Record(steps, within) ?? throw NotNow($"{stage} has not begun. Ask again when it trains.");
        return view.Id == 0 ? throw NotNow(view.Reason) : view.ToProto(run, stage.Stage);
    }

    public async Task<Proto.Trace> GetTrace(Proto.GetTraceRequest request, ServerCallContext context)
    {
        string run = await runs.Existing(request.Run, context.CancellationToken);
        long? id = Checked.NotNegative(request.Id, "id") is > 0 and var said ? said : null;
        if (await traces.Read(run, id, context.CancellationToken) is { } kept)
        {
            return kept.ToProto(!request.WithoutSpans);
        }

        var stage = await Running(run, Checked.OptionalName(request.Stage, "stage"), context.CancellationToken);
        if (id is not null && stage is { } asked && await Grain(asked).Recording() is { } view && view.Id == id)
        {
            // Between the look into the ledger and this one it may have been kept.
            return view.State == TraceState.Kept && await traces.Read(run, id, context.CancellationToken) is { } now
                ? now.ToProto(!request.WithoutSpans) : view.ToProto(run, asked.Stage);
        }

        throw new RpcException(new Status(StatusCode.NotFound, id is null
            ? $"No step of {run} has been recorded. `dsops trace {run}` records two."
            : $"{run} has no recording {id}: the newest {StageTrace.KeptOfRun} are kept, and one that was under way is forgotten when the "
                + $"control plane restarts. `dsops trace {run}` records two steps."));
    }

    public async Task<Proto.ListTracesReply> ListTraces(Proto.ListTracesRequest request, ServerCallContext context)
    {
        string run = await runs.Existing(request.Run, context.CancellationToken);
        var kept = await traces.Of(run, context.CancellationToken);
        return new Proto.ListTracesReply { Traces = { kept.Select(t => t.ToProto(run)) } };
    }

    /// <param name="stage">Null: the one that runs. Null again: none does.</param>
    private async Task<StageId?> Running(string run, string? stage, CancellationToken cancellation)
    {
        await runs.ExistingStage(run, stage, cancellation);
        var view = await runs.Described(run, cancellation);
        var live = view.Stages.FirstOrDefault(s => s.State is "running" or "checking" or "restarting" or "starting");
        return (stage ?? live?.Name) is { } named
            ? new StageId(run, named) : null;
    }

    private IStageGrain Grain(StageId stage) => grains.GetGrain<IStageGrain>(stage.ToString());

    private static RpcException NotNow(string why) => new(new Status(StatusCode.FailedPrecondition, why));
}
