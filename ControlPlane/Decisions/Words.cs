using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions;

/// <summary>Numbers in sentences, the same way everywhere.</summary>
public static class Words
{
    private const int NodesInFull = 8;

    public static string Count(int count, string one, string many) => count == 1 ? $"1 {one}" : $"{count} {many}";

    /// <summary>A few names in full; of many the first, the last and their number.</summary>
    public static string Nodes(ImmutableArray<NodeId> nodes) => nodes.Length <= NodesInFull ? string.Join(", ", nodes)
        : $"{nodes.Length} nodes ({nodes[0]} … {nodes[^1]})";

    /// <summary>"410.2 MB", "5.4 TB", in powers of ten.</summary>
    public static string Size(double bytes) => bytes switch
    {
        < 1e9 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.0} MB"),
        < 1e12 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.0} GB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e12:0.0} TB"),
    };

    /// <summary>"2.3 s", "4 min", "5.2 h", "3.1 d": two significant digits are enough to act on.</summary>
    public static string Duration(TimeSpan span) => span.TotalSeconds switch
    {
        < 0 => "0 s",
        < 100 => string.Create(CultureInfo.InvariantCulture, $"{span.TotalSeconds:0.#} s"),
        < 6000 => string.Create(CultureInfo.InvariantCulture, $"{span.TotalMinutes:0} min"),
        < 360_000 => string.Create(CultureInfo.InvariantCulture, $"{span.TotalHours:0.#} h"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{span.TotalDays:0.#} d"),
    };
}
