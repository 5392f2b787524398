using System.Globalization;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>
/// A break that follows another one soon, or comes before any step, is no batch's fault: it fails the stage with what to change. How soon
/// is <see cref="Recipes.RecoveryPolicy.BreakForgottenAfter"/>.
/// </summary>
public static class BreaksAgain
{
    internal static Rung Rung { get; } = new("numbers break again", Try,
        f => f.Failure.Broke is null ? "no number broke" : "none had broken shortly before");

    internal static Remedy? Try(FailedAttempt failed) =>
        failed.Failure.Broke is { } broke ? Judge(failed.Stage, broke, failed.FromRandom) : null;

    /// <summary>Gives the stage up, or null: it may leave the batch out and go on.</summary>
    public static Remedy.GiveUp? Judge(WatchedStage stage, NotFinite broke, bool fromRandom) =>
        broke.Batch == 0 ? new Remedy.GiveUp($"{broke.Sentence}, before any step. {Advice(stage, broke, fromRandom)}")
        : Recent(stage, broke.Step) is not { } first ? null
        : new Remedy.GiveUp($"{broke.Sentence}, the second time within {stage.Policy.BreakForgottenAfter} steps (before: {first.Why}; "
            + $"batch {first.Batch} was left out)."
            + $" Leaving out another batch would not fix it. {Advice(stage, broke, fromRandom)}");

    /// <summary>The break of this round that is not forgotten yet.</summary>
    private static LeftOutBatch? Recent(WatchedStage stage, long step) =>
        stage.LeftOut.LastOrDefault(b => b.Attempt > stage.RoundBegan && step - b.Step < stage.Policy.BreakForgottenAfter);

    private static string Advice(WatchedStage stage, NotFinite broke, bool fromRandom)
    {
        var pipeline = stage.Pipeline;
        string run = stage.Id.Run;
        string begins = fromRandom ? $", a smaller model.initStd ({Plain(pipeline.Model.InitStd)})" : "";
        string data = broke.Batch == 0 ? ""
            : $", or look at the data of batch {broke.Batch}{(broke.Data.Length > 0 ? $": {broke.Data}" : "")}";
        string clip = pipeline.Optimizer.GradClip > 0
            ? $"a smaller optimizer.gradClip ({Plain(pipeline.Optimizer.GradClip)})" : "an optimizer.gradClip (there is none)";
        string rate = broke.LearningRate > 0 && double.IsFinite(broke.LearningRate) ? $" ({Plain(broke.LearningRate)} at that step)" : "";
        return $"Try a lower learningRate of stage {stage.Id.Stage}{rate}, {clip}{begins}{data}: `dsops clone {run} NEW-NAME` "
            + "writes the pipeline to change."
            + $" `dsops retry {run}` {CheckpointChoice.FromWhere(stage.Checkpoints)} as it is.";
    }

    private static string Plain(double value) => value.ToString("0.######", CultureInfo.InvariantCulture);
}
