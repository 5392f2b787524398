namespace DeepSeekOps.Decisions;

public enum EventLevel
{
    Info = 0,
    Warning = 1,
    Error = 2,
}

/// <summary>
/// One line of a run's timeline. It has no number of its own: the ledger gives numbers in the order of arrival. Two events that
/// are equal are one event, so a tick that is done again after a crash may tell it again.
/// </summary>
/// <param name="Stage">Empty for what concerns the whole run.</param>
/// <param name="Kind">"submitted", "placed", "started", "checkpoint", "rank-exited", "agent-lost", "restarting", …</param>
/// <param name="Text">The planner's own sentence.</param>
public sealed record RunEvent(DateTimeOffset At, string Run, string Stage, int Attempt, string Kind, EventLevel Level, string Text)
{
    public string Node { get; init; } = "";

    public long? Step { get; init; }

    /// <summary>How long what the event tells of took, where it did.</summary>
    public TimeSpan? Took { get; init; }
}
