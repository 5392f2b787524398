using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>Tells with each sign of progress how many collective calls the rank has made, and what its steps took.</summary>
public sealed class CountingLink(IRankLink link, Calls calls, RankTime time) : IRankLink, IDisposable
{
    /// <summary>As often as agents beat.</summary>
    private static readonly TimeSpan PulseEvery = TimeSpan.FromSeconds(1);

    private Timer? _pulse;
    private readonly CancellationTokenSource _breakingOff =
        CancellationTokenSource.CreateLinkedTokenSource(link.Stopping, link.Regrouping);

    public RankStop? StopOrder => link.StopOrder;

    /// <summary>Long work is broken off as well where the rank is to leave its gang.</summary>
    public CancellationToken Stopping => _breakingOff.Token;

    public CancellationToken Regrouping => link.Regrouping;

    public IReadOnlyList<long>? Pinned => link.Pinned;

    public TraceOrder? Trace => link.Trace;

    /// <summary>From now on the number of calls is told each second too, also where a call waits.</summary>
    public CountingLink Pulsing()
    {
        _pulse = new Timer(
            _ => link.Report(new RankReport { Pulse = new RankPulse { CollectiveSequence = calls.Made } }), null, PulseEvery, PulseEvery);
        return this;
    }

    public void Dispose()
    {
        _pulse?.Dispose();
        _breakingOff.Dispose();
    }

    public string? TakeSaveOrder() => link.TakeSaveOrder();

    public RankFault? TakeFault() => link.TakeFault();

    public void Report(RankReport report)
    {
        if (report.Progress is { } progress)
        {
            progress.CollectiveSequence = calls.Made;
            var spent = time.Finished;
            (progress.OwnSeconds, progress.WaitedSeconds, progress.QueuedSeconds) = (spent.Own, spent.Waited, spent.Queued);
        }
        link.Report(report);
    }
}
