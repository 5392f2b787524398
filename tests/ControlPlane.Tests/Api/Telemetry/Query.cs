using System.Text.RegularExpressions;

namespace DeepSeekOps.ControlPlane.Tests.Api.Telemetry;

/// <summary>The names in a query of Prometheus: enough of its grammar to tell metrics from functions, and each metric's labels.</summary>
internal static partial class Query
{
    private static readonly HashSet<string> Words =
    [
        "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "and", "or", "unless", "bool", "inf", "nan", "atan2",
    ];

    /// <summary>Metrics, each with the labels that are asked of it.</summary>
    public static IEnumerable<(string Metric, string[] Labels)> Metrics(string query)
    {
        string bare = Grouping().Replace(Duration().Replace(query, ""), " ");
        foreach (Match match in Identifier().Matches(Strings().Replace(bare, "\"\"")))
        {
            string name = match.Groups[1].Value;
            if (!Words.Contains(name.ToLowerInvariant()) && match.Groups[3].Length == 0)
            {
                yield return (name, [.. Matcher().Matches(match.Groups[2].Value).Select(m => m.Groups[1].Value)]);
            }
        }
    }

    /// <summary>Labels that results are grouped by.</summary>
    public static IEnumerable<string> Grouped(string query) => Grouping().Matches(query)
        .SelectMany(m => m.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));

    [GeneratedRegex(@"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")]
    private static partial Regex Grouping();

    [GeneratedRegex(@"\[[^\]]*\]|\boffset\s+\w+")]
    private static partial Regex Duration();

    [GeneratedRegex("\"[^\"]*\"")]
    private static partial Regex Strings();

    // A name, its matchers, and whether it is called.
    [GeneratedRegex(@"(?<![\w.])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?\s*(\()?")]
    private static partial Regex Identifier();

    [GeneratedRegex(@"(\w+)\s*(?:=~|!~|!=|=)")]
    private static partial Regex Matcher();
}
