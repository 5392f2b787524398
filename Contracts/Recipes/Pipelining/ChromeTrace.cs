using System.Text.Json;

namespace DeepSeekOps.Recipes.Pipelining;

/// <summary>A row of a drawing: what one rank did.</summary>
/// <param name="Node">From 0; ranks of one node are drawn together.</param>
/// <param name="Words">What the rank is called: its number and place.</param>
public sealed record TraceRow(int Rank, int Node, string NodeName, string Words, IEnumerable<Span> Spans);

/// <summary>
/// Spans in the Trace Event Format, which chrome://tracing and Perfetto open: a process for each node, a thread for each rank.
/// </summary>
public static class ChromeTrace
{
    /// <param name="about">What else whoever opens the file should know, by name.</param>
    public static void Write(Utf8JsonWriter json, IReadOnlyList<TraceRow> rows, IReadOnlyList<(string Name, string Text)> about)
    {
        var ordered = rows.Select(r => r.Spans.OrderBy(s => s.Began).ThenByDescending(s => s.Ended).ToArray()).ToArray();
        long first = ordered.Where(r => r.Length > 0).Select(r => r[0].Began).DefaultIfEmpty().Min();
        json.WriteStartObject();
        json.WriteString("displayTimeUnit", "ms");
        json.WriteStartArray("traceEvents");
        foreach (var node in rows.DistinctBy(r => r.Node))
        {
            Name(json, "process_name", node.Node, 0, node.NodeName);
        }

        for (int row = 0; row < rows.Count; row++)
        {
            Name(json, "thread_name", rows[row].Node, rows[row].Rank, rows[row].Words);
            foreach (var span in ordered[row])
            {
                json.WriteStartObject();
                json.WriteString("name", $"{span.Kind}: {span.Name}");
                json.WriteString("cat", span.Kind);
                json.WriteString("ph", "X");
                json.WriteNumber("ts", (span.Began - first) / 1e3);
                json.WriteNumber("dur", (span.Ended - span.Began) / 1e3);
                json.WriteNumber("pid", rows[row].Node);
                json.WriteNumber("tid", rows[row].Rank);
                json.WriteEndObject();
            }
        }

        json.WriteEndArray();
        json.WriteStartObject("otherData");
        foreach (var (name, text) in about)
        {
            json.WriteString(name, text);
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void Name(Utf8JsonWriter json, string what, int node, int rank, string words)
    {
        json.WriteStartObject();
        json.WriteString("name", what);
        json.WriteString("ph", "M");
        json.WriteNumber("pid", node);
        json.WriteNumber("tid", rank);
        json.WriteStartObject("args");
        json.WriteString("name", words);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
