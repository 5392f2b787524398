using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.Cluster;

public sealed partial class ClusterPage : IAsyncDisposable
{
    /// <summary>A card per node reads well to here; beyond it one searches.</summary>
    private const int CardsAtOnce = 256;

    private Subscription<Contracts.Ops.V1.Cluster>? stream;
    private Contracts.Ops.V1.Cluster? cluster;
    private string? trouble;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required TimeProvider Clock { get; init; }

    [Inject] public required NavigationManager Navigation { get; init; }

    [SupplyParameterFromQuery(Name = "q")] public string? Search { get; set; }

    private List<Node> Matching => [.. (cluster?.Nodes ?? []).Where(n =>
        string.IsNullOrEmpty(Search) || n.Name.Contains(Search, StringComparison.OrdinalIgnoreCase)
        || n.Run.Contains(Search, StringComparison.OrdinalIgnoreCase) || n.State.Contains(Search, StringComparison.OrdinalIgnoreCase))];

    private List<Node> Shown => [.. Matching.Take(CardsAtOnce)];

    protected override void OnInitialized()
    {
        if (RendererInfo.IsInteractive)
        {
            stream = Subscription.Begin(stop => Ops.WatchCluster(new GetClusterRequest(), cancellationToken: stop), Show, Clock);
        }
    }

    private Task Show(IReadOnlyList<Contracts.Ops.V1.Cluster> news) => InvokeAsync(() =>
    {
        trouble = stream?.Trouble;
        cluster = news.Count > 0 ? news[^1] : cluster;
        StateHasChanged();
    });

    public ValueTask DisposeAsync() => stream?.DisposeAsync() ?? ValueTask.CompletedTask;
}
