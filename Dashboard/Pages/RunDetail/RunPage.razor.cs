using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using DeepSeekOps.Dashboard.Words;
using Microsoft.AspNetCore.Components;
using MudBlazor;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

public sealed partial class RunPage : IAsyncDisposable
{
    private static readonly ImmutableArray<(string Key, string Word, string Icon)> Tabs =
    [
        ("charts", "Charts", Icons.Material.Outlined.ShowChart),
        ("timeline", "Timeline", Icons.Material.Outlined.Timeline),
        ("incidents", "Incidents", Icons.Material.Outlined.Healing),
        ("checkpoints", "Checkpoints", Icons.Material.Outlined.Save),
        ("logs", "Logs", Icons.Material.Outlined.Subject),
        ("results", "Results", Icons.Material.Outlined.Verified),
        ("pipeline", "Pipeline file", Icons.Material.Outlined.Description),
    ];

    private Subscription<Run>? runStream;
    private Subscription<Event>? eventStream;
    private Run? run;
    private Stage? stage;
    private ImmutableList<Event> events = [];
    private string? watched;
    private string? trouble;
    private string? eventTrouble;
    private bool eventsLoaded;
    private bool missing;
    private long heard;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required TimeProvider Clock { get; init; }

    [Inject] public required NavigationManager Navigation { get; init; }

    [Parameter, EditorRequired] public string Name { get; set; } = "";

    /// <summary>What the title says is not said again.</summary>
    private static string Without(string? text, string title) =>
        text is null ? "" : text.StartsWith(title, StringComparison.Ordinal) ? text[title.Length..].TrimStart() : text;

    private string ShownTab => Tabs.Any(t => t.Key == Tab) ? Tab ?? "charts" : "charts";

    /// <summary>The router keeps this page when only the run in the address changes, so the streams follow the name.</summary>
    protected override async Task OnParametersSetAsync()
    {
        ChooseStage();
        if (!RendererInfo.IsInteractive || watched == Name)
        {
            return;
        }
        watched = Name;
        await DisposeAsync();
        (run, stage, events, eventsLoaded, missing, trouble) = (null, null, [], false, false, null);
        var name = Name;
        runStream = Subscription.Begin(stop => Ops.WatchRun(new GetRunRequest { Name = name }, cancellationToken: stop), ShowRun, Clock);
        eventStream = Subscription.Begin(
            stop => Ops.WatchEvents(new ListEventsRequest { Run = name, After = events.IsEmpty ? 0 : events[^1].Number },
                cancellationToken: stop),
            ShowEvents,
            Clock);
    }

    private Task ShowRun(IReadOnlyList<Run> news) => InvokeAsync(() =>
    {
        trouble = runStream?.Trouble;
        missing = runStream?.NotFound ?? false;
        Keep(news);
        heard += news.Count;
        ChooseStage();
        StateHasChanged();
    });

    /// <summary>The pipeline's text is in the first word of a stream alone.</summary>
    private void Keep(IReadOnlyList<Run> news)
    {
        foreach (var now in news)
        {
            now.Pipeline = now.Pipeline.Length > 0 ? now.Pipeline : run?.Pipeline ?? "";
            run = now;
        }
    }

    private Task ShowEvents(IReadOnlyList<Event> news) => InvokeAsync(() =>
    {
        eventTrouble = eventStream?.Trouble;
        eventsLoaded |= news.Count > 0;
        var last = events.IsEmpty ? 0 : events[^1].Number;
        // A stream begun again may tell the last events once more.
        events = events.AddRange(news.Where(e => e.Number > last));
        StateHasChanged();
    });

    private void ChooseStage() =>
        stage = run?.Stages.FirstOrDefault(s => s.Name == Chosen) ?? (run is null ? null : Stages.InFocus(run));

    /// <summary>Another stage has other steps: a zoom does not carry over.</summary>
    private string With(string parameter, string? value) => Navigation.GetUriWithQueryParameters(
        parameter == "stage"
            ? new Dictionary<string, object?> { ["stage"] = value, ["from"] = null, ["to"] = null }
            : new Dictionary<string, object?> { [parameter] = value });

    public async ValueTask DisposeAsync()
    {
        if (runStream is not null)
        {
            await runStream.DisposeAsync();
        }
        if (eventStream is not null)
        {
            await eventStream.DisposeAsync();
        }
    }
}
