using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using DeepSeekOps.Dashboard.Words;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.Cluster;

public sealed partial class ClusterPage : IAsyncDisposable
{
    /// <summary>So few nodes need no map: each has its card.</summary>
    private const int FewNodes = 16;
    private const int CardsAtOnce = 48;

    private Subscription<Contracts.Ops.V1.Cluster>? stream;
    private Contracts.Ops.V1.Cluster? cluster;
    private string? trouble;
    private long heard;
    private readonly TypedText search = new();

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required TimeProvider Clock { get; init; }

    [Inject] public required NavigationManager Navigation { get; init; }

    [SupplyParameterFromQuery(Name = "q")] public string? Search { get; set; }

    [SupplyParameterFromQuery(Name = "by")] public string? By { get; set; }

    [SupplyParameterFromQuery(Name = "node")] public string? NodeName { get; set; }

    private Node? Chosen => cluster?.Nodes.FirstOrDefault(n => n.Name == NodeName);

    private bool Few => cluster?.Nodes.Count <= FewNodes;

    private string Heading => !string.IsNullOrEmpty(Search) ? "Found" : Few ? "Nodes" : "Need a look";

    /// <summary>Of many nodes without a search those that are not as they should be: the map has the others.</summary>
    private List<Node> Matching => [.. (cluster?.Nodes ?? []).Where(n => string.IsNullOrEmpty(Search) ? Few || n.State != "ready"
        : n.Name.Contains(Search, StringComparison.OrdinalIgnoreCase) || n.State.Contains(Search, StringComparison.OrdinalIgnoreCase)
            || n.Work.Any(w => w.Run.Contains(Search, StringComparison.OrdinalIgnoreCase)))];

    private List<Node> Shown => [.. Matching.Take(CardsAtOnce)];

    protected override void OnInitialized()
    {
        if (RendererInfo.IsInteractive)
        {
            stream = Subscription.Begin(stop => Ops.WatchCluster(new GetClusterRequest(), cancellationToken: stop), Show, Clock);
        }
    }

    protected override void OnParametersSet() => search.Follow(Search);

    private void Find(string? text) => Navigation.NavigateTo(
        Navigation.GetUriWithQueryParameter("q", search.Type(text) is { Length: > 0 } typed ? typed : null), replace: true);

    private Task Show(IReadOnlyList<Contracts.Ops.V1.Cluster> news) => InvokeAsync(() =>
    {
        trouble = stream?.Trouble;
        cluster = news.Count > 0 ? news[^1] : cluster;
        heard += news.Count;
        StateHasChanged();
    });

    public ValueTask DisposeAsync() => stream?.DisposeAsync() ?? ValueTask.CompletedTask;
}
