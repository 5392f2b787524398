using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>Tells with each sign of progress how many collective calls the rank has made.</summary>
public sealed class CountingLink(IRankLink link, Calls calls) : IRankLink
{
    public RankStop? StopOrder => link.StopOrder;

    public CancellationToken Stopping => link.Stopping;

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
