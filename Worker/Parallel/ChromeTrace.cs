using System.Text.Json;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>
/// Spans in the Trace Event Format, which chrome://tracing and Perfetto open: a process for each node, a thread for each rank.
/// </summary>
public static class ChromeTrace
{
    /// <param name="ranks">Each rank's spans, in the order of the ranks.</param>
    /// <param name="words">What a rank is called: its number and place.</param>
    public static void Write(Stream to, IReadOnlyList<IReadOnlyList<Span>> ranks, Func<int, string> words)
    {
        var first = ranks.SelectMany(r => r).Select(s => s.Began).DefaultIfEmpty().Min();
        using var json = new Utf8JsonWriter(to);
        json.WriteStartObject();
        json.WriteString("displayTimeUnit", "ms");
        json.WriteStartArray("traceEvents");
        for (var rank = 0; rank < ranks.Count; rank++)
        {
            Name(json, rank, words(rank));
            foreach (var span in ranks[rank].OrderBy(s => s.Began).ThenByDescending(s => s.Ended))
            {
                json.WriteStartObject();
                json.WriteString("name", $"{span.Kind}: {span.Name}");
                json.WriteString("cat", span.Kind);
                json.WriteString("ph", "X");
                json.WriteNumber("ts", (span.Began - first) / 1e3);
                json.WriteNumber("dur", (span.Ended - span.Began) / 1e3);
                json.WriteNumber("pid", 0);
                json.WriteNumber("tid", rank);
                json.WriteEndObject();
            }
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Name(Utf8JsonWriter json, int rank, string words)
    {
        json.WriteStartObject();
        json.WriteString("name", "thread_name");
        json.WriteString("ph", "M");
        json.WriteNumber("pid", 0);
        json.WriteNumber("tid", rank);
        json.WriteStartObject("args");
        json.WriteString("name", words);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
