using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.Runs;

public sealed partial class RunsPage : IAsyncDisposable
{
    private Subscription<ListRunsReply>? stream;
    private IReadOnlyList<Contracts.Ops.V1.Run>? runs;
    private string? trouble;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required TimeProvider Clock { get; init; }

    [Inject] public required NavigationManager Navigation { get; init; }

    [SupplyParameterFromQuery(Name = "q")] public string? Search { get; set; }

    [SupplyParameterFromQuery] public string? State { get; set; }

    private List<Contracts.Ops.V1.Run> Found =>
        [.. (runs ?? []).Where(r => r.Name.Contains(Search ?? "", StringComparison.OrdinalIgnoreCase))];

    private List<Contracts.Ops.V1.Run> Shown => string.IsNullOrEmpty(State) ? Found : [.. Found.Where(r => r.State == State)];

    private IEnumerable<(string State, int Count)> Counts =>
        Found.GroupBy(r => r.State).OrderBy(g => g.Key, StringComparer.Ordinal).Select(g => (g.Key, g.Count()));

    protected override void OnInitialized()
    {
        // The prerendered page shows the loading state; the circuit fills it.
        if (RendererInfo.IsInteractive)
        {
            stream = Subscription.Begin(stop => Ops.WatchRuns(new ListRunsRequest(), cancellationToken: stop), Show, Clock);
        }
    }

    private Task Show(IReadOnlyList<ListRunsReply> news) => InvokeAsync(() =>
    {
        trouble = stream?.Trouble;
        runs = news.Count > 0 ? [.. news[^1].Runs] : runs;
        StateHasChanged();
    });

    private void Filter(string? text) => Navigation.NavigateTo(With("q", text), replace: true);

    private string With(string parameter, string? value) =>
        Navigation.GetUriWithQueryParameter(parameter, string.IsNullOrEmpty(value) ? null : value);

    public ValueTask DisposeAsync() => stream?.DisposeAsync() ?? ValueTask.CompletedTask;
}
