using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Health;

/// <summary>
/// The losses of one stage under the rule of <see cref="SpikeRule"/>, as its agents tell them, and what became of what was done about them.
/// What it knew at a checkpoint is put away with that checkpoint and comes back with it. What follows is decided elsewhere
/// (the rung LossRise); so is what follows a number that is not finite (<see cref="NumberBreak"/>).
/// </summary>
/// <param name="written">What was put away, as it is written.</param>
/// <param name="attempt">The one that the newest of it is of, or that has gone on from it.</param>
public sealed class LossWatch(ImmutableArray<LossMemory> written, int attempt)
{
    /// <summary>Checkpoints are told within a few saves.</summary>
    private const int MemoriesHeld = 4;

    private readonly LossReplay replay = new();
    private SpikeDetector detector = new(written.LastOrDefault()?.State);
    private int attempt = attempt;
    private StepSample? newest;

    /// <summary>What was known at the newest steps that are saved at, oldest first.</summary>
    public ImmutableArray<LossMemory> Memories { get; private set; } = [];

    /// <summary>Takes what a beat tells; what an earlier one told already is passed over.</summary>
    public ImmutableArray<LossFinding> Take(ImmutableArray<StepSample> samples, WatchedStage stage)
    {
        var found = ImmutableArray.CreateBuilder<LossFinding>();
        foreach (var sample in samples)
        {
            if (sample.Attempt == stage.Attempt && sample.Learned && IsNews(sample))
            {
                if (sample.Attempt != attempt)
                {
                    Begin(sample, stage);
                }

                newest = sample;
                Take(sample, stage, found);
            }
        }

        return found.DrainToImmutable();
    }

    /// <summary>A step that was gone back to is later in time than the one it was gone back from.</summary>
    private bool IsNews(StepSample sample) => newest is null || sample.Attempt > newest.Attempt
        || (sample.Attempt == newest.Attempt && (sample.Step > newest.Step || sample.At > newest.At));

    /// <summary>A launch goes on from a checkpoint: with what was known at it, and the steps that were ever flagged.</summary>
    private void Begin(StepSample sample, WatchedStage stage)
    {
        attempt = sample.Attempt;
        replay.Begin();
        if (stage.LossMemories.LastOrDefault(m => m.Step == sample.Step - 1) is { State: var known })
        {
            detector = new SpikeDetector(known with { Flagged = [.. known.Flagged.Union(detector.State.Flagged)] });
        }

        Memories = [.. Memories.Where(m => m.Step < sample.Step)];
    }

    private void Take(StepSample sample, WatchedStage stage, ImmutableArray<LossFinding>.Builder found)
    {
        detector.Take(new LossSample(sample.Step, sample.Loss, sample.GradNorm, RegimeOf(sample, stage)));
        if (!double.IsFinite(sample.Loss) || !double.IsFinite(sample.GradNorm))
        {
            return;
        }

        replay.Take(sample);
        var open = stage.LossActs.LastOrDefault() is { Outcome: LossOutcome.Open } act && sample.Attempt > act.Attempt ? act : null;
        foreach (var alarm in detector.Alarms)
        {
            string then = alarm.Kind == SpikeKind.Suspected ? $"; the {SpikeRule.JudgedAfter} steps after it show what it is" : "";
            found.Add(Finding(sample, alarm.Step, "loss-flagged", EventLevel.Info, $"{alarm.Reason}{then}") with
            {
                Begins = Math.Max(1, alarm.Step - SpikeRule.BeginsBefore),
            });
        }

        foreach (var judged in detector.Judged.Where(a => a.Kind != SpikeKind.Divergence))
        {
            found.Add(Finding(sample, judged.Step, "loss-judged", EventLevel.Info, judged.Reason));
        }

        PutAway(sample, stage);
        if (open is not null && Closing(open, sample) is { } closing)
        {
            found.Add(closing);
            return;
        }

        foreach (var verdict in detector.Verdicts)
        {
            found.Add(Finding(sample, verdict.FlaggedAt, "loss-diverged", EventLevel.Warning, verdict.Reason) with
            {
                Verdict = verdict,
                Closes = open is null ? null : LossOutcome.CameAgain,
            });
        }
    }

    /// <summary>What becomes of an act shows where it rises again, or at the step at which it is looked at.</summary>
    private LossFinding? Closing(LossAct act, StepSample sample)
    {
        bool again = act.Move == LossMove.Replay && sample.Step <= act.JudgedAt
            && detector.Alarms.Any(a => a.Kind == SpikeKind.Suspected && a.Step >= act.FlaggedAt - SpikeRule.BeginsBefore);
        if (!again && sample.Step < act.VerifiedAt)
        {
            return null;
        }

        double now = replay.Now;
        bool up = again || SpikeRule.StaysUp(now, act.Level, act.Spread);
        string told = up ? LossReplay.CameAgain(act, sample, again) : replay.CameDown(act);
        var (kind, level) = up ? ("loss-came-again", EventLevel.Warning) : ("loss-verified", EventLevel.Info);
        return Finding(sample, act.FlaggedAt, kind, level, told) with
        {
            Closes = up ? LossOutcome.CameAgain : LossOutcome.Verified,
            Verdict = !up ? null : new SpikeVerdict(Math.Max(sample.Step, act.JudgedAt), act.FlaggedAt, SpikeKind.Divergence, told)
            {
                Level = act.Level,
                Spread = act.Spread,
                Now = again ? sample.Loss : now,
            },
        };
    }

    private void PutAway(StepSample sample, WatchedStage stage)
    {
        var pipeline = stage.Pipeline;
        var saves = pipeline.Stages.FirstOrDefault(s => s.Name == stage.Id.Stage) is { } spec ? pipeline.CheckpointsOf(spec)
            : pipeline.Checkpoints;
        if (sample.Step % Math.Max(1, saves.EverySteps) == 0)
        {
            var kept = Memories.Length == MemoriesHeld ? Memories.RemoveAt(0) : Memories;
            Memories = kept.Add(new LossMemory(sample.Step, sample.Attempt, detector.State));
        }
    }

    /// <summary>
    /// Where something is changed on purpose level and spread are learnt anew: the context, and a rate that an act lowers.
    /// </summary>
    private static string RegimeOf(StepSample sample, WatchedStage stage)
    {
        double factor = stage.LossActs.Where(a => a.Lowers(sample.Step)).Aggregate(1.0, (all, act) => all * act.RateFactor);
        return factor == 1 ? sample.Phase : string.Create(CultureInfo.InvariantCulture, $"{sample.Phase} at {factor:R} of the rate");
    }

    private static LossFinding Finding(StepSample sample, long step, string kind, EventLevel level, string text) =>
        new(sample.At, sample.Attempt, step, kind, level, text);
}
