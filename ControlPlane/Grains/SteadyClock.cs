using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>
/// Both clocks of this process. It looks each second by itself, so that a break is seen whoever looks first after it, and nobody who
/// waits for the database is taken for one.
/// </summary>
public sealed partial class SteadyClock : IDisposable
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    private readonly Lock looking = new();
    private readonly TimeProvider clock;
    private readonly ILogger<SteadyClock> log;
    private readonly long began;
    private readonly ITimer timer;
    private Wakefulness known;

    public SteadyClock(TimeProvider clock, ILogger<SteadyClock> log)
    {
        (this.clock, this.log, began) = (clock, log, clock.GetTimestamp());
        known = Wakefulness.Begin(clock.GetUtcNow(), TimeSpan.Zero);
        timer = clock.CreateTimer(_ => Look(), null, LookEvery, LookEvery);
    }

    public Instant Now => Look().Looked;

    /// <summary>What both clocks say, and since when we have been awake.</summary>
    public Wakefulness Look()
    {
        lock (looking)
        {
            string? note;
            (known, note) = known.Look(clock.GetUtcNow(), clock.GetElapsedTime(began));
            if (note is not null)
            {
                LogBreak(note);
            }

            return known;
        }
    }

    public void Dispose() => timer.Dispose();

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "This process {Note}. No node or agent is blamed for it; silence is counted from now")]
    private partial void LogBreak(string note);
}
