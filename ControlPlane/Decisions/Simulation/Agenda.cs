namespace DeepSeekOps.Decisions.Simulation;

/// <summary>
/// What is to happen, in the order of its time; among equals in the order in which it was entered, so that a seed replays.
/// </summary>
internal sealed class Agenda(DateTimeOffset start)
{
    /// <summary>
    /// The clock's grain, 2^-7 s: a whole number of ticks and a binary fraction, so that sums of times are exact in TimeSpan and in
    /// double alike.
    /// </summary>
    private static readonly long Grain = TimeSpan.TicksPerSecond / 128;

    private readonly PriorityQueue<Action, (DateTimeOffset At, long Entered)> entries = new();
    private long entered;

    public DateTimeOffset Now { get; private set; } = start;

    public long Happened { get; private set; }

    public DateTimeOffset? Next => entries.TryPeek(out _, out var when) ? when.At : null;

    /// <summary>Rounds a drawn duration to the clock's grain.</summary>
    public static TimeSpan Round(double seconds) => TimeSpan.FromTicks((long)Math.Round(seconds * 128) * Grain);

    public void After(TimeSpan delay, Action happens) => At(Now + delay, happens);

    public void At(DateTimeOffset when, Action happens) => entries.Enqueue(happens, (when > Now ? when : Now, entered++));

    /// <summary>Moves the clock to the next entry and lets it happen.</summary>
    /// <param name="beforeMoving">Called with the time that will pass.</param>
    public void Step(Action<TimeSpan> beforeMoving)
    {
        if (!entries.TryDequeue(out var happens, out var when))
        {
            throw new InvalidOperationException("Nothing is left to happen.");
        }

        if (when.At > Now)
        {
            beforeMoving(when.At - Now);
            Now = when.At;
        }

        Happened++;
        happens();
    }

    /// <summary>Moves the clock to a moment before the next entry.</summary>
    public void MoveTo(DateTimeOffset when, Action<TimeSpan> beforeMoving)
    {
        if (when > Now)
        {
            beforeMoving(when - Now);
            Now = when;
        }
    }
}
