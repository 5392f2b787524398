using System.Runtime.CompilerServices;
using System.Text.Json;
using DeepSeekOps.ControlPlane.Storage.Tables;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage;

/// <param name="Stage">null: all stages.</param>
/// <param name="Attempt">0: all attempts.</param>
/// <param name="Rank">null: all ranks.</param>
/// <param name="Tail">The last so many lines.</param>
/// <param name="Contains">Only lines with this text; empty: all.</param>
public sealed record LogQuery(string Run, string? Stage, int Attempt, int? Rank, int Tail, string Contains);

/// <summary>A stored line and where it came from.</summary>
public sealed record StoredLine(string Stage, int Attempt, int Rank, string Node, long Number, LogLine Line);

/// <summary>Reads what ranks printed.</summary>
public sealed class LogQueries(OpsConnections connections, ChangeFeed feed)
{
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(2);

    private const int TailMax = 50_000;

    /// <summary>The last lines that match, oldest first.</summary>
    public async Task<List<StoredLine>> Tail(LogQuery query, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        int wanted = Math.Clamp(query.Tail, 1, TailMax);
        var found = new List<StoredLine>();
        var newestFirst = Matching(context, query).OrderByDescending(c => c.FirstAt).ThenByDescending(c => c.FirstLine);
        await foreach (var chunk in newestFirst.AsAsyncEnumerable().WithCancellation(cancellation))
        {
            found.InsertRange(0, LinesOf(chunk, query.Contains));
            if (found.Count >= wanted)
            {
                break;
            }
        }

        // Ranks print at the same time: their chunks overlap and are brought into the order of time.
        return [.. found.OrderBy(l => l.Line.At).ThenBy(l => l.Rank).ThenBy(l => l.Number).TakeLast(wanted)];
    }

    /// <summary>The last lines, then each new one as it arrives; of later attempts too when the query names none.</summary>
    public async IAsyncEnumerable<StoredLine> Follow(LogQuery query, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var next = new Dictionary<(string Stage, int Attempt, int Rank), long>();
        bool first = true;
        await foreach (bool _ in feed.Follow(query.Run, LookAgain, cancellation))
        {
            var lines = first ? await Tail(query, cancellation) : await Newer(query, next, cancellation);
            first = false;
            foreach (var line in lines)
            {
                next[(line.Stage, line.Attempt, line.Rank)] = line.Number + 1;
                yield return line;
            }
        }
    }

    private async Task<List<StoredLine>> Newer(
        LogQuery query, Dictionary<(string Stage, int Attempt, int Rank), long> next, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var heads = await Matching(context, query)
            .Select(c => new { c.Stage, c.Attempt, c.Rank, c.FirstLine, c.Lines }).ToListAsync(cancellation);
        var lines = new List<StoredLine>();
        foreach (var head in heads.Where(h => h.FirstLine + h.Lines > next.GetValueOrDefault((h.Stage, h.Attempt, h.Rank))))
        {
            var chunk = await context.LogChunks.SingleAsync(c => c.Run == query.Run && c.Stage == head.Stage && c.Attempt == head.Attempt
                && c.Rank == head.Rank && c.FirstLine == head.FirstLine, cancellation);
            lines.AddRange(LinesOf(chunk, query.Contains).Where(l => l.Number >= next.GetValueOrDefault((l.Stage, l.Attempt, l.Rank))));
        }

        return [.. lines.OrderBy(l => l.Line.At).ThenBy(l => l.Rank).ThenBy(l => l.Number)];
    }

    private static IQueryable<LogChunkRow> Matching(OpsDb context, LogQuery query) =>
        context.LogChunks.Where(c => c.Run == query.Run
            && (query.Stage == null || c.Stage == query.Stage) && (query.Rank == null || c.Rank == query.Rank)
            && (query.Attempt == 0 || c.Attempt == query.Attempt));

    private static IEnumerable<StoredLine> LinesOf(LogChunkRow chunk, string contains) =>
        Expanded(chunk)
            .Select((line, i) => new StoredLine(chunk.Stage, chunk.Attempt, chunk.Rank, chunk.Node, chunk.FirstLine + i, line))
            .Where(l => contains.Length == 0 || l.Line.Text.Contains(contains, StringComparison.OrdinalIgnoreCase));

    /// <summary>
    /// What a rank printed is evidence that is read before it is launched again: what of it cannot be read holds up neither that nor the
    /// rest of it.
    /// </summary>
    private static IEnumerable<LogLine> Expanded(LogChunkRow chunk)
    {
        try
        {
            return LogStore.Expand(chunk.Body);
        }
        catch (Exception e) when (e is InvalidDataException or InvalidOperationException or JsonException or FormatException
            or ArgumentException or IndexOutOfRangeException)
        {
            return [new LogLine(new DateTimeOffset(chunk.FirstAt, TimeSpan.Zero),
                $"({chunk.Lines} lines that were kept here are damaged in the database and cannot be read)", Error: true)];
        }
    }
}
