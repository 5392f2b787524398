using System.Collections.Concurrent;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;

namespace DeepSeekOps.Worker.Tests.Agent;

/// <summary>A rank link without an agent: keeps what training reports, and gives the orders a test wants given.</summary>
public sealed class RecordingRankLink : IRankLink, IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentQueue<RankReport> _reports = new();
    private volatile RankStop? _stop;
    private string? _saveReason;
    private RankFault? _fault;

    public IReadOnlyList<RankReport> Reports => [.. _reports];

    public IReadOnlyList<StepSample> Samples => [.. _reports.Where(r => r.Sample is not null).Select(r => r.Sample)];

    public IReadOnlyList<CheckpointReport> Checkpoints => [.. _reports.Where(r => r.Checkpoint is not null).Select(r => r.Checkpoint)];

    public IReadOnlyList<EvaluationReport> Evaluations => [.. _reports.Where(r => r.Evaluation is not null).Select(r => r.Evaluation)];

    public IReadOnlyList<ExpertLoadReport> ExpertLoads => [.. _reports.Where(r => r.ExpertLoad is not null).Select(r => r.ExpertLoad)];

    /// <summary>Called within each report, on training's thread: a test gives its orders at an exact step this way.</summary>
    public Action<RankReport>? OnReport { get; set; }

    public RankStop? StopOrder => _stop;

    public CancellationToken Stopping => _stopping.Token;

    public CancellationToken Regrouping => CancellationToken.None;

    public IReadOnlyList<long>? Pinned { get; set; }

    public TraceOrder? Trace { get; set; }

    public void OrderFault(RankFault fault) => _fault = fault;

    public RankFault? TakeFault() => Interlocked.Exchange(ref _fault, null);

    public void Report(RankReport report)
    {
        // A copy: the link over TCP also takes the message as it is at the call.
        _reports.Enqueue(report.Clone());
        OnReport?.Invoke(report);
    }

    public string? TakeSaveOrder() => Interlocked.Exchange(ref _saveReason, null);

    public void OrderSave(string reason) => Interlocked.Exchange(ref _saveReason, reason);

    public void OrderStop(string reason, bool save)
    {
        _stop = new RankStop { Reason = reason, Save = save };
        _stopping.Cancel();
    }

    public void Dispose() => _stopping.Dispose();
}
