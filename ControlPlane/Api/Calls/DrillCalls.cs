using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Drills;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Stages;
using Grpc.Core;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>Faults on purpose, and how they were met.</summary>
internal sealed class DrillCalls(
    KnownRuns runs, IGrainFactory grains, IncidentStore incidents, ITrainingCluster cluster, OutageLedger outages, TimeProvider clock)
{
    /// <summary>Of one run: a drill asks about its newest.</summary>
    private const int IncidentsScored = 200;

    public async Task<Proto.DrillTruth> Drill(Proto.DrillRequest request, ServerCallContext context)
    {
        var cancellation = context.CancellationToken;
        string run = await runs.Existing(request.Run, cancellation);
        var hands = cluster.Drills ?? throw NotNow(
            $"This control plane was not started for drills, so nothing of {run} is broken on purpose. On a cluster that may be broken: "
            + "`dsops dev --drills`.");
        var fault = DrillMapping.ToFault(request.Fault);
        var stage = await StageToDrill(run, Checked.OptionalName(request.Stage, "stage"), cancellation);
        var ground = await Ground(stage, cancellation);
        var plan = DrillPlan.Choose(ground, fault, request.Seed, out string refusal) ?? throw NotNow(refusal);
        if (fault.IsOutage() && outages.Refusal(fault, cluster.Simulated) is { Length: > 0 } not)
        {
            throw NotNow(not);
        }

        await Task.Delay(plan.After, clock, cancellation);
        var at = clock.GetUtcNow();
        long step = (await grains.GetGrain<IStageGrain>(stage.ToString()).Describe())?.View.Step ?? 0;
        if (fault.IsOutage())
        {
            return new DrillTruth(fault, stage, plan.Attempt, null, "", step, at, ground.Newest?.Number ?? 0, "")
            {
                File = outages.File,
            }.ToProto(cluster.Simulated);
        }

        var struck = await hands.Strike(plan, cancellation);
        struck = struck.InsideRank ? await Ask(plan, request.Seed, at) : struck;
        return struck.Refusal.Length > 0 ? throw NotNow(struck.Refusal)
            : new DrillTruth(fault, stage, plan.Attempt, plan.Rank, plan.Node, step, at, ground.Newest?.Number ?? 0, struck.What)
            {
                Checkpoint = struck.Checkpoint,
                File = struck.File,
            }.ToProto(cluster.Simulated);
    }

    public async Task<Proto.DrillCard> ScoreDrill(Proto.DrillTruth request, ServerCallContext context)
    {
        var truth = request.ToRecord();
        await runs.ExistingStage(truth.Stage.Run, truth.Stage.Stage, context.CancellationToken);
        var known = await incidents.Newest(truth.Stage.Run, since: null, IncidentsScored, context.CancellationToken);
        ImmutableArray<Incident> all = [.. known.Select(k => k.Incident)];
        return (truth.Fault.IsOutage() ? OutageCard.Of(truth, await Facts(truth, context.CancellationToken), all)
            : DrillCard.Of(truth, all)).ToProto(cluster.Simulated);
    }

    private async Task<OutageFacts> Facts(DrillTruth truth, CancellationToken cancellation)
    {
        var report = await grains.GetGrain<IStageGrain>(truth.Stage.ToString()).Describe();
        return await outages.Since(truth, report?.View.Attempt ?? 0, cancellation);
    }

    private async Task<StageId> StageToDrill(string run, string? stage, CancellationToken cancellation)
    {
        await runs.ExistingStage(run, stage, cancellation);
        var view = await runs.Described(run, cancellation);
        string? named = stage ?? view.Stages.FirstOrDefault(s => s.State == "running")?.Name;
        return named is null ? throw NotNow($"No stage of {run} trains: it is {view.State}. Wait until one does.")
            : new StageId(run, named);
    }

    private async Task<DrillGround> Ground(StageId stage, CancellationToken cancellation)
    {
        var grain = grains.GetGrain<IStageGrain>(stage.ToString());
        var report = await grain.Describe() ?? throw NotNow($"{stage} has not begun. Wait until it trains.");
        var pipeline = (await grains.GetGrain<IRunGrain>(stage.Run).Submission())?.Pipeline;
        var known = (await incidents.Newest(stage.Run, since: null, IncidentsScored, cancellation))
            .Select(k => k.Incident).Where(i => i.Stage == stage).ToList();
        long broke = known.Where(i => i.Diagnosis?.Cause == FailureCause.NotFinite.InWords()).Select(i => i.Diagnosis!.Step)
            .DefaultIfEmpty(-1).Max();
        return new DrillGround(report, await grain.Ranks(), known.MaxBy(i => i.Number), pipeline?.LossSpikes.Mode == LossSpikeMode.Act)
        {
            TrainsFor = report.Phase.SinceOrNull is { } since ? clock.GetUtcNow() - since : TimeSpan.Zero,
            Alike = (await grain.Ranks()).Length / Math.Max(1, LayoutOf(pipeline, stage)?.Pipeline ?? 1),
            BreakForgottenAt = broke < 0 ? 0 : broke + (pipeline?.Recovery.BreakForgottenAfter ?? 0) + 1,
        };
    }

    /// <summary>By its agent, with the next beat.</summary>
    private async Task<DrillStruck> Ask(DrillPlan plan, int seed, DateTimeOffset at)
    {
        var (kind, factor, steps, what) = plan.Fault switch
        {
            DrillFault.Spike => (RankFaultKind.Rate, DrillPlan.RateFactor, DrillPlan.RateSteps,
                Say($"the rate of the next {DrillPlan.RateSteps} steps x {DrillPlan.RateFactor}")),
            DrillFault.Slow => (RankFaultKind.Slow, DrillPlan.SlowFactor, 0,
                Say($"rank {plan.Rank} on {plan.Node} takes {DrillPlan.SlowFactor} times as long for its own work, ")
                + Say($"for {DrillPlan.SlowFor.TotalSeconds:0} s")),
            _ => (RankFaultKind.NotFinite, 0, 1, Say($"a gradient of rank {plan.Rank} on {plan.Node} is made NaN in its next step")),
        };
        string id = string.Create(CultureInfo.InvariantCulture, $"{plan.Fault.NameOf()}-{seed}-{at.ToUnixTimeMilliseconds()}");
        await grains.GetGrain<IStageGrain>(plan.Stage.ToString())
            .Inject(new RankFault(id, plan.Attempt, plan.Rank ?? 0, kind, factor, steps) { Lasting = DrillPlan.SlowFor });
        return new DrillStruck(what);
    }

    private static ParallelLayout? LayoutOf(PipelineSpec? pipeline, StageId stage) =>
        pipeline?.Stages.FirstOrDefault(s => s.Name == stage.Stage) is { } spec ? pipeline.ParallelismOf(spec) : null;

    private static string Say(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static RpcException NotNow(string why) => new(new Status(StatusCode.FailedPrecondition, why));
}
