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

    /// <summary>Of a gang of thousands something is written all the time; who reads along sees new lines twice a second.</summary>
    private static readonly TimeSpan LookAfter = TimeSpan.FromMilliseconds(500);

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
        Dictionary<Printer, long>? next = null;
        await foreach (bool _ in feed.Follow(query.Run, LookAgain, cancellation))
        {
            List<StoredLine> lines;
            if (next is null)
            {
                // Before the last lines are read: what comes between the two is in one of them. Ranks that have none among the last are
                // known too, or all that they ever printed would be new.
                next = await Ends(query, cancellation);
                lines = await Tail(query, cancellation);
            }
            else
            {
                lines = await Newer(query, next, cancellation);
            }

            foreach (var line in lines)
            {
                var printer = new Printer(line.Stage, line.Attempt, line.Rank);
                next[printer] = Math.Max(next.GetValueOrDefault(printer), line.Number + 1);
                yield return line;
            }

            await Task.Delay(LookAfter, cancellation);
        }
    }

    /// <summary>Where the lines of each rank end that are there.</summary>
    private async Task<Dictionary<Printer, long>> Ends(LogQuery query, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        return await Matching(context, query).GroupBy(c => new { c.Stage, c.Attempt, c.Rank })
            .Select(g => new { g.Key, End = g.Max(c => c.FirstLine + c.Lines) })
            .ToDictionaryAsync(e => new Printer(e.Key.Stage, e.Key.Attempt, e.Key.Rank), e => e.End, cancellation);
    }

    private async Task<List<StoredLine>> Newer(LogQuery query, Dictionary<Printer, long> next, CancellationToken cancellation)
    {
        var behind = (await Ends(query, cancellation)).Where(e => e.Value > next.GetValueOrDefault(e.Key)).ToList();
        await using var context = connections.Context();
        var lines = new List<StoredLine>();
        foreach (var launch in behind.GroupBy(e => (e.Key.Stage, e.Key.Attempt)))
        {
            int[] ranks = [.. launch.Select(e => e.Key.Rank)];
            // Ranks that print print alike: what of one rank lies behind this and is known is little.
            long from = launch.Min(e => next.GetValueOrDefault(e.Key));
            var chunks = Matching(context, query).Where(c => c.Stage == launch.Key.Stage && c.Attempt == launch.Key.Attempt
                && ranks.Contains(c.Rank) && c.FirstLine + c.Lines > from);
            await foreach (var chunk in chunks.AsAsyncEnumerable().WithCancellation(cancellation))
            {
                long known = next.GetValueOrDefault(new Printer(chunk.Stage, chunk.Attempt, chunk.Rank));
                lines.AddRange(LinesOf(chunk, query.Contains).Where(l => l.Number >= known));
            }
        }

        // Also where no line has the text that is looked for.
        behind.ForEach(e => next[e.Key] = e.Value);
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

    private readonly record struct Printer(string Stage, int Attempt, int Rank);
}
