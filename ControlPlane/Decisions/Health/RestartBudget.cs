using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Health;

/// <summary>Whether a failed attempt is followed by another, and when.</summary>
public abstract record Verdict
{
    private Verdict() { }

    public sealed record Again(TimeSpan After) : Verdict;

    public sealed record GiveUp(string Reason) : Verdict;
}

/// <summary>
/// Counts launches without progress, not launches: every new checkpoint empties <see cref="Stage.Restarts"/>, so a slow but
/// progressing stage goes on for ever, and one that ends by the same fault at the same step does not.
/// </summary>
public static class RestartBudget
{
    public static Verdict Judge(Stage stage, Failure failure, bool madeStep, DateTimeOffset now)
    {
        var policy = stage.Policy;
        if (failure.Cause == FailureCause.RolledBack)
        {
            return new Verdict.Again(TimeSpan.Zero);
        }

        if (failure.Cause == FailureCause.BadInput)
        {
            return new Verdict.GiveUp($"{failure.Sentence.TrimEnd('.')}. Mend it, then `dsops retry {stage.Id.Run}`.");
        }

        if (failure.Cause == FailureCause.NoCheckpoint)
        {
            return new Verdict.GiveUp($"{failure.Sentence.TrimEnd('.')}. Put one back and `dsops retry {stage.Id.Run} --stage {stage.Id.Stage}` goes on"
                + $" from it; `dsops retry {stage.Id.Run} --stage {stage.Id.Stage} --from 0` begins again.");
        }

        if (failure.Broke is { } broke && NumberBreak.Judge(stage, broke) is { } given)
        {
            return given;
        }

        int same = 1 + stage.Restarts.Reverse().TakeWhile(r => failure.Signature.Length > 0 && r.Signature == failure.Signature).Count();
        if (failure.Signature.Length > 0 && same >= policy.MaxSameFault)
        {
            return new Verdict.GiveUp(
                $"{same} launches ended by the same fault without a new checkpoint beyond step {stage.LaunchedFrom}: {failure.Sentence}");
        }

        int before = stage.Restarts.Count(r => r.Cause == failure.Cause && now - r.At < policy.Window);
        if (before >= policy.MaxRestarts)
        {
            return new Verdict.GiveUp(
                $"{before} restarts by '{failure.Cause.InWords()}' within {Words.Duration(policy.Window)} without a new checkpoint"
                + $" (the budget is {policy.MaxRestarts}): {failure.Sentence}");
        }

        return new Verdict.Again(BackOff(stage, madeStep));
    }

    /// <summary>Only launches that never made a step wait, and each one longer than the one before.</summary>
    private static TimeSpan BackOff(Stage stage, bool madeStep)
    {
        if (madeStep)
        {
            return TimeSpan.Zero;
        }

        int fruitless = stage.Restarts.Reverse().TakeWhile(r => !r.MadeStep).Count();
        // 2^20 base waits are beyond any cap; the bound keeps the product finite.
        var wait = stage.Policy.BackOffBase * Math.Pow(2, Math.Min(fruitless, 20));
        return wait < stage.Policy.BackOffMax ? wait : stage.Policy.BackOffMax;
    }
}
