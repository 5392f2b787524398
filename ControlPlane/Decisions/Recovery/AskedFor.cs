using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>
/// A person asked to go back to an earlier checkpoint: nothing is wrong, so nothing waits and nothing is counted against it.
/// </summary>
internal static class AskedFor
{
    public static Remedy? Try(FailedAttempt failed) =>
        failed.Failure.Cause == FailureCause.RolledBack ? new Remedy.InPlace(TimeSpan.Zero) : null;
}
