using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>
/// What the dictionary of exits calls incurable by a launch: every further one, on every node, would end the same, and the first is enough.
/// Only a verdict that is sure counts; a doubt is left to the budgets.
/// </summary>
internal static class NotCured
{
    internal static Rung Rung { get; } = new("no launch cures it", Try,
        _ => "nothing says for certain that another launch would end the same");

    public static Remedy? Try(FailedAttempt failed)
    {
        string run = failed.Stage.Id.Run;
        string what = failed.Failure.Sentence.TrimEnd('.');
        return failed.Failure switch
        {
            { Cause: FailureCause.BadInput } => new Remedy.GiveUp($"{what}. Mend it, then `dsops retry {run}`."),
            { Cause: FailureCause.RankExited or FailureCause.AgentLost, Exit: { Sure: true, Meaning: { } meaning } }
                when IsWall(meaning.Retry, failed.MadeStep) =>
                new Remedy.GiveUp($"{what}. That is, {meaning.Cause}: another launch would end the same. {meaning.Fix}"
                    + $" Then `dsops retry {run}`."),
            _ => null,
        };
    }

    private static bool IsWall(Retry retry, bool madeStep) => retry switch
    {
        Retry.Never => true,
        Retry.AfterSteps => !madeStep,
        Retry.Again or Retry.OlderCheckpoint => false,
        _ => throw new System.Diagnostics.UnreachableException($"retry {retry}"),
    };
}
