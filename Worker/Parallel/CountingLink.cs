using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>Tells with each sign of progress how many collective calls the rank has made.</summary>
public sealed class CountingLink(IRankLink link, Calls calls) : IRankLink, IDisposable
{
    private readonly CancellationTokenSource _breakingOff =
        CancellationTokenSource.CreateLinkedTokenSource(link.Stopping, link.Regrouping);

    public RankStop? StopOrder => link.StopOrder;

    /// <summary>Long work is broken off as well where the rank is to leave its gang.</summary>
    public CancellationToken Stopping => _breakingOff.Token;

    public CancellationToken Regrouping => link.Regrouping;

    public void Dispose() => _breakingOff.Dispose();

    public string? TakeSaveOrder() => link.TakeSaveOrder();

    public void Report(RankReport report)
    {
        if (report.Progress is { } progress)
        {
            progress.CollectiveSequence = calls.Made;
        }
        link.Report(report);
    }
}
