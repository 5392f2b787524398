using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>What follows a loss that rose and stayed up. Closed.</summary>
public abstract record LossAnswer
{
    private LossAnswer() { }

    /// <summary>For people.</summary>
    public abstract string Words { get; init; }

    /// <summary>Nothing is done by itself.</summary>
    public sealed record Tell(string Words) : LossAnswer
    {
        public override string Words { get; init; } = Words;
    }

    public sealed record Act(LossAct What, string Words) : LossAnswer
    {
        public override string Words { get; init; } = Words;
    }

    /// <summary>The run is held, and a person decides.</summary>
    public sealed record Hold(string Words) : LossAnswer
    {
        public override string Words { get; init; } = Words;
    }
}

/// <summary>
/// The recipe's policy for a loss that rose (<see cref="LossSpikes"/>). Whoever goes back trains the same batches once more before it
/// leaves any out: what does not come again was the machine's, or has passed. No act is without a bound.
/// </summary>
public static class LossRise
{
    internal static Rung Rung { get; } = new("after a loss that rose", Try, _ => "no loss rose and stayed up");

    public static LossAnswer Decide(WatchedStage stage, SpikeVerdict verdict, DateTimeOffset now)
    {
        var policy = stage.Pipeline.LossSpikes;
        string kind = stage.Pipeline.Stages.FirstOrDefault(s => s.Name == stage.Id.Stage)?.Kind ?? "";
        if (policy.Mode == LossSpikeMode.Advise)
        {
            return new LossAnswer.Tell($"Nothing is done by itself (lossSpikes.mode is advise): {Advice(stage, verdict)}");
        }

        if (policy.Policy == LossSpikePolicy.Alert || !LossSpikes.Minds(kind))
        {
            string why = policy.Policy == LossSpikePolicy.Alert ? "lossSpikes.policy is alert"
                : $"the loss of a stage of kind {kind} proves nothing";
            return new LossAnswer.Tell($"Nothing is done by itself ({why}): {Advice(stage, verdict)}");
        }

        if (stage.LossActs.LastOrDefault(a => a.Attempt <= stage.RoundBegan && a.FlaggedAt - SpikeRule.BeginsBefore <= verdict.FlaggedAt
            && verdict.FlaggedAt <= a.JudgedAt) is { } undone)
        {
            return new LossAnswer.Tell($"Nothing is done by itself: it was at step {undone.FlaggedAt} before, and a person began the stage "
                + $"again since then. {Advice(stage, verdict)}");
        }

        return Within(stage, policy, verdict, now);
    }

    private static LossAnswer Within(WatchedStage stage, LossSpikes policy, SpikeVerdict verdict, DateTimeOffset now)
    {
        if (stage.Hold.Length > 0)
        {
            return new LossAnswer.Tell("The run is being held for a person.");
        }

        if (policy.Policy == LossSpikePolicy.Pause)
        {
            return new LossAnswer.Hold($"The run is held for a person (lossSpikes.policy is pause). {Advice(stage, verdict)}");
        }

        int acts = stage.LossActs.Count(a => a.Attempt > stage.RoundBegan && verdict.Step - a.JudgedAt < policy.WithinSteps);
        if (acts >= policy.MaxActs)
        {
            return new LossAnswer.Hold($"{Words.Count(acts, "act", "acts")} within {policy.WithinSteps} steps did not end it "
                + $"(lossSpikes.maxActs is {policy.MaxActs}): the run is held for a person. {Advice(stage, verdict)}");
        }

        var from = policy.Policy == LossSpikePolicy.Skip ? CheckpointChoice.Newest(stage.Checkpoints) : Before(stage, verdict);
        return from is null
            ? new LossAnswer.Hold("No checkpoint of before it is left to go back to: the run is held for a person. "
                + $"{Advice(stage, verdict)}")
            : Act(stage, policy, verdict, from.Made.Step, now);
    }

    private static LossAnswer.Act Act(WatchedStage stage, LossSpikes policy, SpikeVerdict verdict, long from, DateTimeOffset now)
    {
        bool replayed = stage.LossActs.LastOrDefault() is { Move: LossMove.Replay, Outcome: not LossOutcome.Verified } last
            && last.FlaggedAt == verdict.FlaggedAt && last.Attempt > stage.RoundBegan;
        var bare = new LossAct(LossMove.Replay, verdict.FlaggedAt, verdict.Step, from, stage.Attempt, verdict.Level, verdict.Spread, now,
            verdict.Reason);
        var window = Window(stage, policy, policy.Policy == LossSpikePolicy.Skip ? from + 1 : verdict.Begins, verdict.Step);
        string left = $"batches {window.First} to {window.Last} are left out";
        var (act, what) = policy.Policy switch
        {
            LossSpikePolicy.Skip => (bare with { Move = LossMove.Skip, FirstBatch = window.First, LastBatch = window.Last },
                $"on from the newest checkpoint, step {from}, and {left}"),
            LossSpikePolicy.RollBack or LossSpikePolicy.LowerRate when !replayed => (bare,
                $"back to step {from}, and the same batches again: if the loss rises again, "
                    + (policy.Policy == LossSpikePolicy.RollBack ? left : LowerRate(policy))
                    + "; if not, the machine or a passing change was why, and no batch is blamed"),
            LossSpikePolicy.RollBack => (bare with { Move = LossMove.RollBack, FirstBatch = window.First, LastBatch = window.Last },
                $"back to step {from}, and {left}"),
            LossSpikePolicy.LowerRate => (bare with
            {
                Move = LossMove.LowerRate,
                RateFrom = verdict.Begins,
                RateUntil = verdict.Begins + policy.RateSteps - 1,
                RateFactor = policy.RateFactor,
            },
                $"back to step {from}, and {LowerRate(policy)} (steps {verdict.Begins} to {verdict.Begins + policy.RateSteps - 1}), "
                    + "then back"),
            _ => throw new UnreachableException($"policy {policy.Policy}"),
        };
        return new LossAnswer.Act(act, $"By policy {LossSpikes.NameOf(policy.Policy)}: {what}. Without it training would go on at "
            + $"{verdict.Now:G4}, where the level was {verdict.Level:G4}; of 70 public runs all 6 whose loss was up for so long stayed up. "
            + $"`dsops retry {stage.Id.Run} --stage {stage.Id.Stage} --from {from}` takes it back, `dsops pause {stage.Id.Run}` stops it");
    }

    /// <summary>From the batch of a step on: as many as the policy says, and at least to that of the judgement.</summary>
    private static (long First, long Last) Window(WatchedStage stage, LossSpikes policy, long from, long judged)
    {
        var left = stage.BatchesLeftOut;
        long first = BatchOrder.BatchOf(from, left);
        long last = Math.Max(BatchOrder.BatchOf(Math.Max(from, judged), left), first + policy.SkipBatches - 1);
        return (first, last);
    }

    private static string LowerRate(LossSpikes policy) =>
        $"the learning rate is multiplied by {policy.RateFactor:0.###} for {Words.Count(policy.RateSteps, "step", "steps")}";

    private static StageCheckpoint? Before(WatchedStage stage, SpikeVerdict verdict) =>
        stage.Checkpoints.LastOrDefault(c => c.Usable && c.Made.Step < verdict.Begins);

    /// <summary>What a person would do, with the command for it.</summary>
    private static string Advice(WatchedStage stage, SpikeVerdict verdict) => Before(stage, verdict) is not { } before
        ? $"no checkpoint before it is left: try a lower learningRate (`dsops clone {stage.Id.Run} NEW-NAME`)"
        : $"`dsops retry {stage.Id.Run} --stage {stage.Id.Stage} --from {before.Made.Step}` goes back to the newest checkpoint before it; "
            + "where it rises again, the data of those steps or the learning rate is why";

    /// <summary>The rung: a rise that the stage found an act for.</summary>
    internal static Remedy? Try(FailedAttempt failed) => failed.Failure.Act is { } act ? new Remedy.AfterRise(act) : null;
}
