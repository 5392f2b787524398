using System.Collections.Immutable;
using System.IO.Compression;
using System.Text.Json;
using DeepSeekOps.Decisions.Tracing;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>What is known of a trace without reading it.</summary>
public sealed record KeptTrace(long Id, string Stage, int Attempt, DateTimeOffset At, long FirstStep, int Steps, int Ranks);

/// <summary>Recorded steps of each run, the newest few. For people: nothing here is read to decide.</summary>
public sealed class TraceStore(WriteLanes lanes, OpsConnections connections)
{
    private const string Insert = """
        INSERT INTO trace (run, id, stage, attempt, at, first_step, steps, ranks, body)
        VALUES (@run, @id, @stage, @attempt, @at, @first, @steps, @ranks, @body)
        ON CONFLICT (run, id) DO NOTHING
        """;

    private const string Forget = """
        DELETE FROM trace WHERE run = @run AND id NOT IN (SELECT id FROM trace WHERE run = @run ORDER BY id DESC LIMIT @kept)
        """;

    /// <summary>Durable when it returns.</summary>
    public Task Keep(StageTrace trace, CancellationToken cancellation)
    {
        string run = trace.Stage.Run;
        return lanes.Run(run,
        [
            new Statement(Insert, ("run", run), ("id", trace.Id), ("stage", trace.Stage.Stage), ("attempt", trace.Attempt),
                ("at", trace.At.UtcDateTime), ("first", trace.FirstStep), ("steps", trace.Steps), ("ranks", trace.Ranks),
                ("body", Compress(trace))),
            new Statement(Forget, ("run", run), ("kept", StageTrace.KeptOfRun)),
        ], cancellation);
    }

    /// <summary>Newest first.</summary>
    public async Task<ImmutableArray<KeptTrace>> Of(string run, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var rows = await context.Traces.AsNoTracking().Where(t => t.Run == run).OrderByDescending(t => t.Id)
            .Select(t => new { t.Id, t.Stage, t.Attempt, t.At, t.FirstStep, t.Steps, t.Ranks }).ToListAsync(cancellation);
        return [.. rows.Select(t => new KeptTrace(
            t.Id, t.Stage, t.Attempt, new DateTimeOffset(DateTime.SpecifyKind(t.At, DateTimeKind.Utc)), t.FirstStep, t.Steps, t.Ranks))];
    }

    /// <param name="id">Null: the newest.</param>
    public async Task<StageTrace?> Read(string run, long? id, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        byte[]? body = await context.Traces.AsNoTracking().Where(t => t.Run == run && (id == null || t.Id == id))
            .OrderByDescending(t => t.Id).Select(t => t.Body).FirstOrDefaultAsync(cancellation);
        return body is null ? null : Expand(body);
    }

    private static byte[] Compress(StageTrace trace)
    {
        using var bytes = new MemoryStream();
        using (var brotli = new BrotliStream(bytes, CompressionLevel.Fastest))
        {
            JsonSerializer.Serialize(brotli, trace, LedgerJson.Options);
        }

        return bytes.ToArray();
    }

    private static StageTrace Expand(byte[] body)
    {
        using var brotli = new BrotliStream(new MemoryStream(body), CompressionMode.Decompress);
        return JsonSerializer.Deserialize<StageTrace>(brotli, LedgerJson.Options)
            ?? throw new JsonException("a trace was expected, null is stored");
    }
}
