using System.Globalization;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

/// <summary>How the charts are drawn, as the address has it.</summary>
public sealed record ChartView(string? X = null, string? Smooth = null, string? Log = null, string? Series = null, string? From = null,
    string? To = null);

/// <summary>Which events the timeline shows, as the address has it.</summary>
public sealed record EventFilter(string? Find = null, string? Level = null);

/// <summary>Which lines the log shows, as the address has it.</summary>
public sealed record LogFilter(int? Attempt = null, int? Rank = null, string? Contains = null, string? Follow = null)
{
    /// <summary>An address is typed by people too: what is no number counts as left out.</summary>
    public static int? Number(string? text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
}
