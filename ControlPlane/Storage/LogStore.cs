using System.Collections.Immutable;
using System.IO.Compression;
using System.Text.Json;
using DeepSeekOps.Decisions;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>A line that a rank printed.</summary>
/// <param name="Error">It came by standard error.</param>
public sealed record LogLine(DateTimeOffset At, string Text, bool Error);

/// <summary>Keeps what ranks print, of every attempt: evidence outlives recovery.</summary>
public sealed class LogStore(WriteLanes lanes, ChangeFeed feed)
{
    // A batch that is sent again after a lost reply begins at the same line, and has those more that were printed since.
    private const string Insert = """
        INSERT INTO log_chunk (run, stage, attempt, rank, first_line, lines, node, first_at, body)
        VALUES (@run, @stage, @attempt, @rank, @first, @lines, @node, @at, @body)
        ON CONFLICT (run, stage, attempt, rank, first_line) DO UPDATE SET lines = excluded.lines, body = excluded.body
        WHERE excluded.lines > log_chunk.lines
        """;

    public async Task Append(
        StageId stage, int attempt, int rank, string node, long firstLine, ImmutableArray<LogLine> lines, CancellationToken cancellation)
    {
        if (lines.IsEmpty)
        {
            return;
        }

        await lanes.Run(stage.Run, [new Statement(Insert,
            ("run", stage.Run), ("stage", stage.Stage), ("attempt", attempt), ("rank", rank), ("first", firstLine), ("lines", lines.Length),
            ("node", node), ("at", lines[0].At.UtcDateTime), ("body", Compress(lines)))], cancellation);
        feed.Changed(stage.Run);
    }

    internal static byte[] Compress(ImmutableArray<LogLine> lines)
    {
        using var bytes = new MemoryStream();
        using (var brotli = new BrotliStream(bytes, CompressionLevel.Fastest))
        using (var json = new Utf8JsonWriter(brotli))
        {
            json.WriteStartArray();
            foreach (var line in lines)
            {
                json.WriteStartArray();
                json.WriteNumberValue(line.At.ToUnixTimeMilliseconds());
                json.WriteNumberValue(line.Error ? 1 : 0);
                json.WriteStringValue(line.Text);
                json.WriteEndArray();
            }

            json.WriteEndArray();
        }

        return bytes.ToArray();
    }

    internal static IEnumerable<LogLine> Expand(byte[] body)
    {
        using var brotli = new BrotliStream(new MemoryStream(body), CompressionMode.Decompress);
        using var json = JsonDocument.Parse(brotli);
        return [.. json.RootElement.EnumerateArray().Select(line => new LogLine(
            DateTimeOffset.FromUnixTimeMilliseconds(line[0].GetInt64()), line[2].GetString() ?? "", line[1].GetInt32() == 1))];
    }
}
