using System.Diagnostics;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>
/// Where the time of a rank's steps goes: into its own work, or into waiting inside its gang's calls. A synchronous gang has one step time;
/// the rank that holds it up is the one that works longest and waits least. Two reads of the clock a call, and two of the kernel's account.
/// </summary>
public sealed class RankTime : IDisposable
{
    /// <summary>A sleep is about a millisecond too long, so shorter ones are saved up for one.</summary>
    private static readonly long SleepAtLeast = Stopwatch.Frequency / 500;

    private CoreQueue? _cores;
    private long _queuedAt;
    private double _queued;
    private long _waited;
    private long _stepBegan;
    private long _waitedBefore;
    private volatile Spent _finished = new(0, 0, 0);
    private volatile Slowness? _slow;
    private long _workBegan;

    /// <summary>Of all finished steps, in seconds.</summary>
    /// <param name="Own">Without what was waited.</param>
    /// <param name="Queued">For a core of the machine, in the midst of own work.</param>
    public sealed record Spent(double Own, double Waited, double Queued);

    private sealed class Slowness(double factor, long until)
    {
        public double Factor => factor;

        public long Until => until;

        public long Owed { get; set; }
    }

    public Spent Finished => _finished;

    public void BeginStep()
    {
        _stepBegan = _workBegan = Stopwatch.GetTimestamp();
        _cores ??= new CoreQueue();
        (_queuedAt, _queued) = (_cores.Nanoseconds, 0);
        _waitedBefore = Interlocked.Read(ref _waited);
    }

    /// <summary>The step that began last is finished; one that is broken off counts nothing.</summary>
    public void EndStep()
    {
        PayForSlowness();
        CountQueue();
        double waited = Seconds(Interlocked.Read(ref _waited) - _waitedBefore);
        double whole = Seconds(Stopwatch.GetTimestamp() - _stepBegan);
        _finished = new Spent(
            _finished.Own + Math.Max(0, whole - waited - _queued), _finished.Waited + waited, _finished.Queued + _queued);
    }

    /// <summary>For a drill: from now on own work takes so many times as long, by sleeping beside it.</summary>
    public void SlowDown(double factor, TimeSpan lasting) =>
        _slow = new Slowness(factor, Stopwatch.GetTimestamp() + (long)(lasting.TotalSeconds * Stopwatch.Frequency));

    /// <returns>For <see cref="Leave"/>.</returns>
    public long Enter()
    {
        PayForSlowness();
        CountQueue();
        return Stopwatch.GetTimestamp();
    }

    public void Leave(long entered)
    {
        _workBegan = Stopwatch.GetTimestamp();
        Interlocked.Add(ref _waited, _workBegan - entered);
        _queuedAt = Queued;
    }

    public void Dispose() => _cores?.Dispose();

    private void CountQueue()
    {
        var queued = Queued;
        _queued += (queued - _queuedAt) / 1e9;
        _queuedAt = queued;
    }

    private void PayForSlowness()
    {
        if (_slow is not { } slow)
        {
            return;
        }
        var now = Stopwatch.GetTimestamp();
        if (now > slow.Until)
        {
            _slow = null;
            return;
        }
        // Of its work, not of its wait for a core: others' load is not made heavier.
        var work = now - _workBegan - (long)((Queued - _queuedAt) / 1e9 * Stopwatch.Frequency);
        slow.Owed += (long)(Math.Max(0, work) * (slow.Factor - 1));
        if (slow.Owed >= SleepAtLeast)
        {
            // Nobody sets it: what the drill asks for is that time passes.
            using var never = new ManualResetEventSlim();
            never.Wait(TimeSpan.FromSeconds(Seconds(slow.Owed)));
            slow.Owed -= Stopwatch.GetTimestamp() - now;
        }
        CountQueue();
        _workBegan = Stopwatch.GetTimestamp();
    }

    private long Queued => _cores?.Nanoseconds ?? 0;

    private static double Seconds(long ticks) => (double)ticks / Stopwatch.Frequency;
}
