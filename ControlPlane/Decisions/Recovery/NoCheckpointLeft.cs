using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>A stage that was beyond step 0 never begins again by itself: that would throw work away, which only a person may.</summary>
internal static class NoCheckpointLeft
{
    internal static Rung Rung { get; } = new("no checkpoint", Try, _ => "the stage has what it goes on from");

    public static Remedy? Try(FailedAttempt failed)
    {
        var (run, stage) = (failed.Stage.Id.Run, failed.Stage.Id.Stage);
        return failed.Failure.Cause != FailureCause.NoCheckpoint ? null
            : new Remedy.GiveUp($"{failed.Failure.Sentence.TrimEnd('.')}. Put one back and `dsops retry {run} --stage {stage}` goes on"
                + $" from it; `dsops retry {run} --stage {stage} --from 0` begins again.");
    }
}
