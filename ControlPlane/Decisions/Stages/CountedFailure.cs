using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>What a decision about a stage says of the node that failed it.</summary>
public static class CountedFailure
{
    /// <summary>The failure that the decision has just counted; null: none.</summary>
    public static NodeFailure? Of(Stage before, Stage next) =>
        next.Restarts is [.., var last] && next.RestartsByCause.Values.Sum() > before.RestartsByCause.Values.Sum()
            ? new NodeFailure(last.Node, next.Id, last.FailedAttempt, last.Cause, last.At) : null;
}
