using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>Every launch on every node would read the same file and end the same: the first time is enough.</summary>
internal static class BadInput
{
    public static Remedy? Try(FailedAttempt failed) => failed.Failure.Cause != FailureCause.BadInput ? null
        : new Remedy.GiveUp($"{failed.Failure.Sentence.TrimEnd('.')}. Mend it, then `dsops retry {failed.Stage.Id.Run}`.");
}
