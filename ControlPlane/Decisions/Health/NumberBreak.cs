using System.Globalization;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Health;

/// <summary>
/// A break: a loss, gradient norm, weight or measured loss that is not finite. The first leaves its batch out and goes on from the
/// checkpoint before it; the same batches at another state of the weights seldom break again (PaLM, arXiv 2204.02311 section 5.1). One
/// that follows soon is no batch's fault, and fails the stage with what to change.
/// </summary>
public static class NumberBreak
{
    /// <summary>Exit code of a rank that found one; the worker's RankEntry.NotFinite.</summary>
    public const int Exit = 79;

    /// <summary>What broke the current attempt: a rank says so itself, or it told a sample that says so. Null: nothing did.</summary>
    public static Failure? Find(Stage stage, GangGrant gang, Observation seen, DateTimeOffset now)
    {
        foreach (var agent in seen.AgentsOf(gang))
        {
            if (agent.Ranks.FirstOrDefault(r => r.Attempt == stage.Attempt && r.LocalTry >= stage.LocalTry && (r.Broke is not null || Ended(r))) is { } rank)
            {
                return Of(stage, agent.Node, rank.Broke ?? Unexplained(stage, rank), now - seen.SilenceOf(agent), now);
            }
        }

        if (seen.Broken is { } sample && sample.Attempt == stage.Attempt)
        {
            return Of(stage, gang.Nodes[0], FromSample(stage, sample), sample.At, now);
        }

        // Where no sample came through: a save that tells such a loss.
        return stage.Checkpoints.LastOrDefault(c => c.Made.Attempt == stage.Attempt && !double.IsFinite(c.Made.Loss)) is { } saved
            ? Of(stage, gang.Nodes[0], At(stage, "loss", saved.Made.Loss, saved.Made.Step), saved.Made.At, now) : null;
    }

    /// <summary>Why a checkpoint that was just told must not be used, whatever its bytes; null: it may be.</summary>
    public static string? Unfit(Stage stage, CheckpointMade made) => !double.IsFinite(made.Loss) ? $"the loss of its step is {NotFinite.InWords(made.Loss)}"
        : stage.LeftOut.FirstOrDefault(b => b.Attempt == made.Attempt && made.Step >= b.Step) is { } broken ? $"made after {broken.Why}" : null;

    /// <summary>Gives the stage up, or null: it may leave the batch out and go on.</summary>
    public static Verdict.GiveUp? Judge(Stage stage, NotFinite broke)
    {
        if (broke.Batch == 0)
        {
            return new Verdict.GiveUp($"{broke.Sentence}, before any step. {Advice(stage, broke)}");
        }

        if (Recent(stage, broke.Step) is not { } first)
        {
            return null;
        }

        return new Verdict.GiveUp($"{broke.Sentence}, the second time within {stage.Policy.BreakForgottenAfter} steps (before: {first.Why}; batch {first.Batch} was left out)."
            + $" Leaving out another batch would not mend it. {Advice(stage, broke)}");
    }

    /// <summary>Takes the broken batch out of all launches to come, and what was saved at or after its step out of use.</summary>
    public static Stage LeaveOut(Stage stage, NotFinite broke) => stage with
    {
        LeftOut = stage.LeftOut.Any(b => b.Batch == broke.Batch) ? stage.LeftOut
            : stage.LeftOut.Add(new LeftOutBatch(broke.Batch, broke.Step, stage.Attempt, broke.Sentence)),
        Checkpoints = [.. stage.Checkpoints.Select(c => c.Usable && c.Made.Attempt == stage.Attempt && c.Made.Step >= broke.Step
            ? c with { State = CheckpointState.Quarantined, Reason = $"made after {broke.Sentence}" } : c)],
    };

    /// <summary>"batch 57 (corpus.txt, lines 3 to 9) is left out".</summary>
    public static string LeftOutWords(NotFinite broke) => $"batch {broke.Batch}{(broke.Data.Length > 0 ? $" ({broke.Data})" : "")} is left out";

    /// <summary>The break of this round that is not forgotten yet.</summary>
    private static LeftOutBatch? Recent(Stage stage, long step) =>
        stage.LeftOut.LastOrDefault(b => b.Attempt > stage.RoundBegan && step - b.Step < stage.Policy.BreakForgottenAfter);

    private static bool Ended(RankSeen rank) => rank is { State: RankState.Exited, ExitCode: Exit };

    /// <summary>The rank ended by it, and its words were lost on the way.</summary>
    private static NotFinite Unexplained(Stage stage, RankSeen rank) =>
        At(stage, "loss or gradient norm", double.NaN, rank.Step + 1) with { Value = "not finite" };

    private static NotFinite FromSample(Stage stage, StepSample sample) => (double.IsFinite(sample.Loss)
        ? At(stage, "gradient norm", sample.GradNorm, sample.Step) : At(stage, "loss", sample.Loss, sample.Step)) with { LearningRate = sample.LearningRate };

    private static NotFinite At(Stage stage, string what, double value, long step) =>
        new(what, NotFinite.InWords(value), step, BatchOrder.BatchOf(step, stage.LeftOut.Select(b => b.Batch)), 0, "", 0);

    private static Failure Of(Stage stage, NodeId node, NotFinite broke, DateTimeOffset happened, DateTimeOffset now) =>
        new(FailureCause.NotFinite, broke.Sentence, "", node, false, stage.Attempt, broke.Step, happened < now ? happened : now, now) { Broke = broke };

    private static string Advice(Stage stage, NotFinite broke)
    {
        var pipeline = stage.Wish.Pipeline;
        string run = stage.Id.Run;
        string begins = stage.Wish.BeginFrom is null ? $", a smaller model.initStd ({Plain(pipeline.Model.InitStd)})" : "";
        string data = broke.Batch == 0 ? "" : $", or look at the data of batch {broke.Batch}{(broke.Data.Length > 0 ? $": {broke.Data}" : "")}";
        string clip = pipeline.Optimizer.GradClip > 0 ? $"a smaller optimizer.gradClip ({Plain(pipeline.Optimizer.GradClip)})" : "an optimizer.gradClip (there is none)";
        string rate = broke.LearningRate > 0 && double.IsFinite(broke.LearningRate) ? $" ({Plain(broke.LearningRate)} at that step)" : "";
        return $"Try a lower learningRate of stage {stage.Id.Stage}{rate}, {clip}{begins}{data}: `dsops clone {run} NEW-NAME` writes the pipeline to change."
            + $" `dsops retry {run}` {StageMoves.FromWhere(stage)} as it is.";
    }

    private static string Plain(double value) => value.ToString("0.######", CultureInfo.InvariantCulture);
}
