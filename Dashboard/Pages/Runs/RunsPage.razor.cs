using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using DeepSeekOps.Dashboard.Words;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.Runs;

/// <summary>
/// One page of the runs there are. Search, order and counts are the server's, so that the oldest of ten thousand is found.
/// </summary>
public sealed partial class RunsPage : IAsyncDisposable
{
    /// <summary>Rows of a page: a few screens, a few kilobytes.</summary>
    private const int PageSize = 50;

    private Subscription<ListRunsReply>? stream;
    private ListRunsRequest? asked;
    private ListRunsReply? list;
    private string? trouble;
    private long heard;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required TimeProvider Clock { get; init; }

    [Inject] public required NavigationManager Navigation { get; init; }

    [SupplyParameterFromQuery(Name = "q")] public string? Search { get; set; }

    [SupplyParameterFromQuery] public string? State { get; set; }

    private readonly TypedText search = new();

    /// <summary>The last run of the page before; empty: this is the first page.</summary>
    [SupplyParameterFromQuery] public string? After { get; set; }

    private IEnumerable<(string State, int Count)> Counts =>
        (list?.States ?? []).OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => (s.Key, s.Value));

    private bool Narrowed => !string.IsNullOrEmpty(Search) || !string.IsNullOrEmpty(State);

    protected override async Task OnParametersSetAsync()
    {
        search.Follow(Search);
        var request = new ListRunsRequest
        {
            Search = Search ?? "", State = State ?? "", PageToken = After ?? "", PageSize = PageSize, ChangesOnly = true,
        };
        // The prerendered page shows the loading state; the circuit fills it.
        if (!RendererInfo.IsInteractive || request.Equals(asked))
        {
            return;
        }

        var before = stream;
        asked = request;
        stream = Subscription.Begin(stop => Ops.WatchRuns(request, cancellationToken: stop), news => Show(request, news), Clock);
        if (before is not null)
        {
            await before.DisposeAsync();
        }
    }

    /// <summary>What was shown stays until the answer to the newest question is there.</summary>
    private Task Show(ListRunsRequest request, IReadOnlyList<ListRunsReply> news) => InvokeAsync(() =>
    {
        if (ReferenceEquals(request, asked))
        {
            if (stream is { NotFound: true } && !string.IsNullOrEmpty(After))
            {
                // An address that was kept names a place in a list of another time: its beginning is what can be shown.
                Navigation.NavigateTo(With("after", null), replace: true);
                return;
            }

            trouble = stream?.Trouble;
            heard += news.Count;
            list = news.Aggregate(list, Newest);
            StateHasChanged();
        }
    });

    private static ListRunsReply Newest(ListRunsReply? known, ListRunsReply news)
    {
        if (!news.Changes || known is null)
        {
            return news;
        }

        var whole = news.Clone();
        var changed = news.Runs.ToDictionary(r => r.Name);
        whole.Runs.Clear();
        whole.Runs.AddRange(known.Runs.Select(r => changed.GetValueOrDefault(r.Name, r)));
        return whole;
    }

    private void Filter(string? text) => Navigation.NavigateTo(With("q", text), replace: true);

    /// <summary>Another search begins with its first page.</summary>
    private string With(string parameter, string? value) => Navigation.GetUriWithQueryParameters(new Dictionary<string, object?>
    {
        [parameter] = string.IsNullOrEmpty(value) ? null : value,
        ["after"] = parameter == "after" ? value : null,
    });

    public ValueTask DisposeAsync() => stream?.DisposeAsync() ?? ValueTask.CompletedTask;
}
