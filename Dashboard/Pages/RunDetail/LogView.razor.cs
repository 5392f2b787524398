using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using DeepSeekOps.Dashboard.Words;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

/// <summary>Lines of one stage as its ranks print them. The filter is the server's, so it also finds what is not shown.</summary>
public sealed partial class LogView : IAsyncDisposable
{
    private const int LinesKept = 20_000;

    private Subscription<LogEntry>? stream;
    private ImmutableList<LogEntry> lines = [];
    private string? trouble;
    private object? asked;
    private Stage? stage;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required TimeProvider Clock { get; init; }

    [Inject] public required NavigationManager Navigation { get; init; }

    [Parameter, EditorRequired] public Run Run { get; set; } = new();

    [Parameter, EditorRequired] public string? Stage { get; set; }

    [Parameter] public LogFilter Filter { get; set; } = new();

    private int? Attempt => Filter.Attempt;

    private int? Rank => Filter.Rank;

    private string? Contains => Filter.Contains;

    private bool following => Filter.Follow != "off";

    private string stageName => Stage ?? "";

    protected override async Task OnParametersSetAsync()
    {
        stage = Run.Stages.FirstOrDefault(s => s.Name == Stage);
        var wanted = (Run.Name, Stage, Attempt, Rank, Contains);
        if (!RendererInfo.IsInteractive || wanted.Equals(asked))
        {
            return;
        }
        asked = wanted;
        await DisposeAsync();
        (lines, trouble) = ([], null);
        var request = new GetLogsRequest
        {
            Run = Run.Name,
            Stage = stageName,
            Attempt = Attempt ?? 0,
            Tail = 2000,
            Contains = Contains ?? "",
        };
        if (Rank is { } rank)
        {
            request.Rank = rank;
        }
        stream = Subscription.Begin(stop => Ops.WatchLogs(request, cancellationToken: stop), news => Show(wanted, news), Clock);
    }

    private Task Show(object source, IReadOnlyList<LogEntry> news) => InvokeAsync(() =>
    {
        if (!source.Equals(asked))
        {
            return;
        }
        trouble = stream?.Trouble;
        var known = lines.TakeLast(2000).Select(l => (l.Attempt, l.Rank, l.Line)).ToHashSet();
        // A stream begun again tells its tail once more.
        lines = lines.AddRange(news.Where(l => !known.Contains((l.Attempt, l.Rank, l.Line))));
        lines = lines.Count > LinesKept ? lines.RemoveRange(0, lines.Count - LinesKept) : lines;
        StateHasChanged();
    });

    private void Set(string parameter, object? value, string usual = "")
    {
        var text = value?.ToString();
        Navigation.NavigateTo(Navigation.GetUriWithQueryParameter(parameter, text == usual ? null : text), replace: true);
    }

    public async ValueTask DisposeAsync()
    {
        if (stream is not null)
        {
            await stream.DisposeAsync();
        }
    }
}
