namespace DeepSeekOps.Decisions.Runs;

public enum EventLevel
{
    Info = 0,
    Warning = 1,
    Error = 2,
}

/// <summary>A line of a run's timeline, in the planner's own words.</summary>
/// <param name="Stage">Empty: the run itself.</param>
/// <param name="Serial">
/// Grows by one within (run, stage). With them it is the event's key: after a crash the same event is sent again, and the ledger
/// keeps one.
/// </param>
/// <param name="Kind">"submitted", "placed", "started", "checkpoint", "rank-exited", "restarting", "recovered", "completed", …</param>
/// <param name="Node">The node it is about; empty: none in particular.</param>
/// <param name="Took">How long what the event tells of took, where it did.</param>
public sealed record RunEvent(
    string Run, string Stage, long Serial, DateTimeOffset At, int Attempt, string Kind, EventLevel Level, string Text, string Node,
    long? Step, TimeSpan? Took);
