using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

/// <summary>
/// All that the address says of this page. A page alone reads the query and hands the values down: a part of it that did so too would end
/// the circuit whenever it is mounted by a change of the address (dotnet/aspnetcore#57746).
/// </summary>
public sealed partial class RunPage
{
    [SupplyParameterFromQuery(Name = "stage")] public string? Chosen { get; set; }

    [SupplyParameterFromQuery] public string? Tab { get; set; }

    [SupplyParameterFromQuery] public string? X { get; set; }

    [SupplyParameterFromQuery] public string? Smooth { get; set; }

    [SupplyParameterFromQuery] public string? Log { get; set; }

    [SupplyParameterFromQuery] public string? Series { get; set; }

    [SupplyParameterFromQuery] public string? From { get; set; }

    [SupplyParameterFromQuery] public string? To { get; set; }

    [SupplyParameterFromQuery] public string? Find { get; set; }

    [SupplyParameterFromQuery] public string? Level { get; set; }

    [SupplyParameterFromQuery] public string? Attempt { get; set; }

    [SupplyParameterFromQuery] public string? Rank { get; set; }

    [SupplyParameterFromQuery] public string? Contains { get; set; }

    [SupplyParameterFromQuery] public string? Follow { get; set; }

    [SupplyParameterFromQuery] public string? Incident { get; set; }

    private ChartView ChartView => new(X, Smooth, Log, Series, From, To);

    private EventFilter EventFilter => new(Find, Level);

    private LogFilter LogFilter => new(LogFilter.Number(Attempt), LogFilter.Number(Rank), Contains, Follow);
}
