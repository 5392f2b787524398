namespace DeepSeekOps.Decisions.Health;

/// <summary>One moment by two clocks. Whoever asks how long something took asks the second: the first may be set at any time.</summary>
/// <param name="At">The wall clock: stamps for people, and what is written down.</param>
/// <param name="Up">Time that our process has run, by a clock that nobody sets and that stands while the machine sleeps.</param>
public readonly record struct Instant(DateTimeOffset At, TimeSpan Up)
{
    /// <summary>Where time is simulated both clocks are one.</summary>
    public static Instant OfOneClock(DateTimeOffset at) => new(at, at - DateTimeOffset.UnixEpoch);

    public TimeSpan Since(Instant earlier) => Up > earlier.Up ? Up - earlier.Up : TimeSpan.Zero;
}
