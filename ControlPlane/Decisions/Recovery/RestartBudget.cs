using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>
/// Counts launches without progress, not launches: every new checkpoint empties <see cref="FailedAttempt.Restarts"/>, so a slow but
/// progressing stage goes on for ever. A launch that a clock which ran ahead has dated into the future is as far away as it says, and no
/// launch of now. The limits are <see cref="Recipes.RecoveryPolicy.MaxRestarts"/> and its Window.
/// </summary>
internal static class RestartBudget
{
    internal static Rung Rung { get; } = new("restart budget", Try, f => $"{f.Restarts.Count(r => r.Cause == f.Failure.Cause)} of "
        + $"{f.Stage.Policy.MaxRestarts} restarts by this cause are used");

    public static Remedy? Try(FailedAttempt failed)
    {
        var (policy, failure) = (failed.Stage.Policy, failed.Failure);
        int before = failed.Restarts.Count(r => r.Cause == failure.Cause && (failed.Now - r.At).Duration() < policy.Window);
        return before < policy.MaxRestarts ? null
            : new Remedy.GiveUp($"{before} restarts by '{failure.Cause.InWords()}' within {Words.Duration(policy.Window)} "
                + "without a new checkpoint"
                + $" (the budget is {policy.MaxRestarts}): {failure.Sentence}");
    }
}
