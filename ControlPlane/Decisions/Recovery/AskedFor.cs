using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>
/// A person asked to go back to an earlier checkpoint: nothing is wrong, so nothing waits and nothing is counted against it.
/// </summary>
internal static class AskedFor
{
    internal static Rung Rung { get; } = new("asked for by a person", Try, _ => "nobody asked for it");

    public static Remedy? Try(FailedAttempt failed) =>
        failed.Failure.Cause == FailureCause.RolledBack ? new Remedy.InPlace(TimeSpan.Zero) : null;
}
