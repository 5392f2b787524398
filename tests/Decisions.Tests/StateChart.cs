using System.Text.RegularExpressions;

namespace DeepSeekOps.Decisions.Tests;

/// <summary>The mermaid charts of docs/states.md, read as edges.</summary>
internal static partial class StateChart
{
    /// <summary>"Queued -> Starting" for each arrow of the chart under a heading; the beginning's arrow is left out.</summary>
    public static SortedSet<string> Edges(string heading)
    {
        string text = File.ReadAllText(Path.Combine(Root(), "docs", "states.md"));
        int begin = text.IndexOf($"## {heading}\n", StringComparison.Ordinal);
        int end = text.IndexOf("```\n\n", text.IndexOf("```mermaid", begin, StringComparison.Ordinal), StringComparison.Ordinal);
        return new SortedSet<string>(Arrow().Matches(text[begin..end]).Select(m => $"{m.Groups[1].Value} -> {m.Groups[2].Value}"),
            StringComparer.Ordinal);
    }

    public static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "DeepSeekOps.sln")))
        {
            folder = folder.Parent ?? throw new DirectoryNotFoundException("DeepSeekOps.sln is in no folder above the tests.");
        }

        return folder.FullName;
    }

    [GeneratedRegex(@"^\s*(\w+) --> (\w+)", RegexOptions.Multiline)]
    private static partial Regex Arrow();
}
