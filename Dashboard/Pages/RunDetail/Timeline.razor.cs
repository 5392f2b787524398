using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Words;
using Microsoft.AspNetCore.Components;
using MudBlazor;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

/// <summary>Events newest first, in the planner's own sentences. A long quiet time is one line, not a long way to scroll.</summary>
public sealed partial class Timeline
{
    [Inject] public required NavigationManager Navigation { get; init; }

    [Parameter, EditorRequired] public ImmutableList<Event> Events { get; set; } = [];

    [Parameter, EditorRequired] public bool Loaded { get; set; }

    [Parameter] public string? Trouble { get; set; }

    /// <summary>Only so many; 0: all, with the filter.</summary>
    [Parameter] public int Newest { get; set; }

    [Parameter] public string? MoreAt { get; set; }

    [Parameter] public EventFilter Filter { get; set; } = new();

    private readonly TypedText find = new();

    private string? Text => Filter.Find;

    private string? Level => Filter.Level;

    /// <summary>
    /// Checkpoints that follow each other are one row, unless a person looks for words: then each event that has them is shown.
    /// </summary>
    private IReadOnlyList<TimelineRow> Rows => Newest > 0
        ? TimelineRow.Of(Events, Newest)
        : TimelineRow.Of(Events.Where(Matches), fold: string.IsNullOrEmpty(Text));

    private bool Matches(Event e) =>
        (string.IsNullOrEmpty(Text) || e.Text.Contains(Text, StringComparison.OrdinalIgnoreCase) || e.Stage == Text || e.Kind == Text)
        && (Level switch { "error" => e.Level == "error", "warning" => e.Level is "warning" or "error", _ => true });

    protected override void OnParametersSet() => find.Follow(Text);

    private void Set(string parameter, string? value) =>
        Navigation.NavigateTo(Navigation.GetUriWithQueryParameter(parameter, string.IsNullOrEmpty(value) ? null : value), replace: true);

    private static string Icon(Event e) => e.Level switch
    {
        "error" => Icons.Material.Filled.Error,
        "warning" => Icons.Material.Filled.WarningAmber,
        _ => e.Kind switch
        {
            "checkpoint" => Icons.Material.Outlined.Save,
            "recovered" or "completed" => Icons.Material.Outlined.CheckCircle,
            "placed" or "started" => Icons.Material.Outlined.RocketLaunch,
            _ => Icons.Material.Outlined.Info,
        },
    };
}
