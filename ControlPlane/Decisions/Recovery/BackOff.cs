namespace DeepSeekOps.Decisions.Recovery;

/// <summary>Only launches that never made a step wait, and each one longer than the one before.</summary>
internal static class BackOff
{
    /// <summary>2^20 base waits are beyond any cap; the bound keeps the product finite.</summary>
    private const int DoublingsMax = 20;

    public static TimeSpan Of(FailedAttempt failed)
    {
        if (failed.MadeStep)
        {
            return TimeSpan.Zero;
        }

        var policy = failed.Stage.Policy;
        int fruitless = failed.Restarts.Reverse().TakeWhile(r => !r.MadeStep).Count();
        var wait = policy.BackOffBase * Math.Pow(2, Math.Min(fruitless, DoublingsMax));
        return wait < policy.BackOffMax ? wait : policy.BackOffMax;
    }
}
