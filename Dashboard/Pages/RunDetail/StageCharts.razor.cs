using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using DeepSeekOps.Dashboard.Words;
using Grpc.Core;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

/// <summary>Passes the URL's view state to the charts as attributes. Points never come through here.</summary>
public sealed partial class StageCharts
{
    private ImmutableArray<string> named = [];
    private string? asked;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required NavigationManager Navigation { get; init; }

    [Parameter, EditorRequired] public Run Run { get; set; } = new();

    [Parameter, EditorRequired] public Stage Stage { get; set; } = new();

    [Parameter, EditorRequired] public ImmutableList<Event> Events { get; set; } = [];

    [Parameter, EditorRequired] public ChartView View { get; set; } = new();

    private string? X => View.X;

    private string? Smooth => View.Smooth;

    private string? Log => View.Log;

    private string? Series => View.Series;

    private string? From => View.From;

    private string? To => View.To;

    private string Axis => X is "tokens" or "time" ? X : "step";

    private ImmutableArray<string> Usual => StageSeries.Shown(Stage.Kind, named);

    private ImmutableArray<string> Shown =>
        string.IsNullOrEmpty(Series) ? Usual : [.. Series.Split(',', StringSplitOptions.RemoveEmptyEntries)];

    private IEnumerable<string> All => Usual.Union(named).Union(Shown);

    /// <summary>
    /// Which series a stage has is asked again when it has begun to train, since before that it has none, and a few steps later, since some
    /// follow from two steps.
    /// </summary>
    protected override async Task OnParametersSetAsync()
    {
        var key = $"{Run.Name}/{Stage.Name}/{(Stage.Step > 3 ? 2 : Stage.Step > 0 ? 1 : 0)}";
        if (!RendererInfo.IsInteractive || asked == key)
        {
            return;
        }
        asked = key;
        try
        {
            var reply = await Ops.ListSeriesAsync(
                new ListSeriesRequest { Run = Run.Name, Stage = Stage.Name }, deadline: Faults.DeadlineFromNow());
            named = [.. reply.Series.Select(s => s.Name).Distinct().Order(StringComparer.Ordinal)];
        }
        catch (RpcException)
        {
            // The usual charts stand without the list; the page's own stream says what is wrong.
            asked = null;
        }
    }

    private void Toggle(string name)
    {
        var next = Shown.Contains(name) ? Shown.Remove(name) : Shown.Add(name);
        Set("series", next.IsEmpty || next.SequenceEqual(Usual) ? null : string.Join(',', next), null);
    }

    private void Set(string parameter, object? value, string? usual, bool dropZoom = false)
    {
        var text = value?.ToString();
        var changes = new Dictionary<string, object?> { [parameter] = text == usual ? null : text };
        if (dropZoom)
        {
            (changes["from"], changes["to"]) = (null, null);
        }
        Navigation.NavigateTo(Navigation.GetUriWithQueryParameters(changes), replace: true);
    }

    private void ShowAll() =>
        Navigation.NavigateTo(Navigation.GetUriWithQueryParameters(new Dictionary<string, object?> { ["from"] = null, ["to"] = null }));
}
