using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Spikes;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Drills;

/// <summary>What a target is chosen from: a stage at one moment.</summary>
/// <param name="Ranks">All of them.</param>
/// <param name="Newest">Its newest incident. Null: it has had none.</param>
/// <param name="ActsOnLosses">Its recipe says that a loss which rises is acted on.</param>
public sealed record DrillGround(StageReport Stage, ImmutableArray<RankView> Ranks, Incident? Newest, bool ActsOnLosses)
{
    /// <summary>The step from which on a number that breaks is a first one again; 0: none has broken.</summary>
    public long BreakForgottenAt { get; init; }

    /// <summary>Ranks that do the same work as any one of them does, itself among them.</summary>
    public int Alike { get; init; } = 1;

    /// <summary>How long it has trained since its ranks were launched last.</summary>
    public TimeSpan TrainsFor { get; init; } = TimeSpan.MaxValue;
}

/// <summary>A fault with its target, before it is injected.</summary>
/// <param name="Rank">Null: no single rank is struck.</param>
/// <param name="Pid">Of the rank, or of the agent where no rank is struck; 0: it has none.</param>
/// <param name="After">So long after it was asked for: a fault may come at any moment of a step.</param>
/// <param name="Draw">A number for whatever else has to be chosen where it is injected.</param>
public sealed record DrillPlan(DrillFault Fault, StageId Stage, int Attempt, int? Rank, string Node, int Pid, TimeSpan After, int Draw)
{
    /// <summary>Of <see cref="DrillFault.Spike"/>: what ends a small run for good where nothing is done (docs/spikes.md).</summary>
    public const double RateFactor = 30;

    public const int RateSteps = 20;

    /// <summary>
    /// Of <see cref="DrillFault.Spike"/>: a level, and a spread over as many steps as it is ever taken over, once those of the beginning
    /// are out of it. There the loss falls by more than its noise: at step 114 of a small gang the spread was twice that of later, and a
    /// rise by 100 % was judged to have come back when it was down to 40 %.
    /// </summary>
    public const int SpikeFrom = SpikeRule.LevelFrom + (2 * SpikeRule.SpreadOver);

    /// <summary>
    /// Of <see cref="DrillFault.Slow"/>: whoever is compared is over the code that is compiled in its first steps, for a whole window. Of
    /// four gangs that were drilled at once after their first step none named anybody within the time of the fault, later ones all did.
    /// </summary>
    public static readonly TimeSpan SlowFrom = 2 * SlowRanks.Window;

    /// <summary>Of <see cref="DrillFault.Slow"/>: slower by half.</summary>
    public const double SlowFactor = 1.5;

    /// <summary>
    /// Of <see cref="DrillFault.Slow"/>: the time within which it has to be named, of steps of up to five seconds. Then the rank is as it
    /// was.
    /// </summary>
    public static readonly TimeSpan SlowFor = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Of <see cref="DrillFault.FillDisk"/>. Ours: a save has to fall into it, and they are far more often where one drills.
    /// </summary>
    public static readonly TimeSpan FullFor = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Of a control plane, or its database: longer than the 10 s that a write waits for a lock, so that writes fail and not only wait.
    /// </summary>
    public static readonly TimeSpan AwayFor = TimeSpan.FromSeconds(20);

    /// <summary>
    /// Of <see cref="DrillFault.LoseContact"/>. Ours: twice what silence is told after, and far below what an agent is given up after.
    /// </summary>
    public static readonly TimeSpan SilentFor = TimeSpan.FromSeconds(20);

    /// <summary>Ours: longer than most steps of a model that fits a laptop.</summary>
    private const int IntoAStepMs = 300;

    /// <summary>Which it is to be: a function of what is there and the seed.</summary>
    /// <param name="refusal">Why it cannot be injected now, with what to do; empty: it can.</param>
    public static DrillPlan? Choose(DrillGround ground, DrillFault fault, int seed, out string refusal)
    {
        refusal = Refusal(ground, fault);
        if (refusal.Length > 0)
        {
            return null;
        }

        var random = new Random(seed);
        var ranks = ground.Ranks.OrderBy(r => r.Rank).ToImmutableArray();
        // The first rank's word on the rate counts for all.
        var rank = fault == DrillFault.Spike ? ranks[0] : ranks[random.Next(ranks.Length)];
        var after = TimeSpan.FromMilliseconds(random.Next(IntoAStepMs));
        bool ofNode = fault is DrillFault.KillAgent or DrillFault.KillNode or DrillFault.LoseContact or DrillFault.CorruptCheckpoint
            or DrillFault.FillDisk;
        if (fault.IsOutage())
        {
            return new DrillPlan(fault, ground.Stage.Stage, ground.Stage.View.Attempt, null, "", 0, after, random.Next());
        }

        return new DrillPlan(fault, ground.Stage.Stage, ground.Stage.View.Attempt, ofNode ? null : rank.Rank, rank.Node,
            ofNode ? rank.AgentPid : rank.Pid, after, random.Next());
    }

    private static string Refusal(DrillGround ground, DrillFault fault)
    {
        var view = ground.Stage.View;
        string stage = ground.Stage.Stage.ToString();
        bool train = view.State == "running" && ground.Ranks.All(r => r.State is RankState.Training or RankState.Saving);
        if (!train || ground.Ranks.IsEmpty)
        {
            return $"{stage} is {view.State}, and not all of its ranks train. Wait until they do.";
        }

        if (ground.Newest is { Open: true } open)
        {
            return $"{stage} has an incident that is not over ({open.Number.ToString(CultureInfo.InvariantCulture)}): what is injected "
                + "now could not be told apart from it. Wait until it is closed (see `dsops why`).";
        }

        return fault switch
        {
            DrillFault.CorruptCheckpoint when ground.Stage.UsableSteps.Length < 2 =>
                $"{stage} has {Words.Count(ground.Stage.UsableSteps.Length, "good checkpoint", "good checkpoints")}; with fewer than two "
                + "none is left to go on from. Wait for the next one.",
            DrillFault.NotANumber when view.Step < ground.BreakForgottenAt =>
                $"{stage} has had a number that broke, and a second one before step "
                + $"{ground.BreakForgottenAt.ToString(CultureInfo.InvariantCulture)} ends it for good, as it should. Wait until then, or "
                + "submit the pipeline with a smaller recovery.breakForgottenAfter.",
            DrillFault.Slow when ground.Alike < 2 =>
                $"{stage} has no two ranks that do the same work, so none can be called slower than the others. Drill a run with more "
                + "data-parallel ranks.",
            DrillFault.Slow when ground.TrainsFor < SlowFrom =>
                $"the ranks of {stage} have trained for {Words.Duration(ground.TrainsFor)}, and what is usual for them is known after "
                + $"{Words.Duration(SlowFrom)}. Wait until then.",
            DrillFault.Spike when !ground.ActsOnLosses =>
                $"{stage} only reports a loss that rises, so nothing would bring it back. Submit the pipeline with "
                + "lossSpikes: {mode: act}.",
            DrillFault.Spike when view.Step < SpikeFrom =>
                $"{stage} is at step {view.Step.ToString(CultureInfo.InvariantCulture)}, and what a usual loss is, is known from step "
                + $"{SpikeFrom.ToString(CultureInfo.InvariantCulture)} on: no rise before would be seen. Wait until then.",
            DrillFault.Spike when ground.Stage.RiseInTrial is { } trial => string.Create(CultureInfo.InvariantCulture,
                $"{stage} is on trial until step {trial.VerifiedAt} for the loss that rose at step {trial.FlaggedAt}: a second rise ")
                + "before would be taken for the first one's return. Wait until then.",
            _ => "",
        };
    }
}
