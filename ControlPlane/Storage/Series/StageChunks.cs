using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Storage.Tables;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage.Series;

/// <summary>A chunk without its body.</summary>
internal sealed record ChunkHead(string Name, int Attempt, long FirstStep, long LastStep, int Bytes, SeriesHead Head)
{
    /// <summary>The stored head is over the points with a number; the body tells how many there are in all.</summary>
    public int NotFinite => (Bytes / SeriesPoints.BytesPerPoint) - Head.Points;

    public bool HasNotFinite => NotFinite > 0;

    /// <summary>It will never change.</summary>
    public bool Full => Bytes >= OpenChunks.PointsMax * SeriesPoints.BytesPerPoint;
}

internal sealed record SummaryHead(string Stage, ChunkHead Chunk);

/// <summary>The heads of some series of a stage, and where each of its attempts began.</summary>
internal sealed class StageChunks
{
    private readonly IQueryable<SeriesChunkRow> ofStage;
    private readonly ILookup<(string Name, int Attempt), ChunkHead> byLine;

    private StageChunks(IQueryable<SeriesChunkRow> ofStage, List<ChunkHead> chunks, Dictionary<int, long> begins)
    {
        this.ofStage = ofStage;
        Chunks = chunks;
        Begins = begins;
        byLine = chunks.ToLookup(c => (c.Name, c.Attempt));
    }

    public List<ChunkHead> Chunks { get; }

    /// <summary>First step of each attempt, over all series: a series with few points says it too late.</summary>
    public Dictionary<int, long> Begins { get; }

    /// <summary>Grows with the points; a restart changes it too.</summary>
    public string Tag => string.Create(System.Globalization.CultureInfo.InvariantCulture,
        $"{Chunks.Sum(c => (long)c.Bytes)}.{string.Join('.', Begins.OrderBy(b => b.Key).Select(b => b.Value))}");

    /// <summary>Full chunks that are known are not read again: of a million steps only the last chunk of each line is.</summary>
    public static async Task<StageChunks> Read(
        OpsDb context, ChunkCache cache, string run, string stage, ImmutableArray<string> names, CancellationToken cancellation)
    {
        var ofStage = context.SeriesChunks.Where(c => c.Run == run && c.Stage == stage);
        var begins = await ofStage.GroupBy(c => c.Attempt).Select(g => new { Attempt = g.Key, First = g.Min(c => c.FirstStep) })
            .ToDictionaryAsync(g => g.Attempt, g => g.First, cancellation);
        int newest = begins.Keys.DefaultIfEmpty(0).Max();
        var chunks = new List<ChunkHead>();
        foreach (int attempt in begins.Keys.Order())
        {
            var lines = names.Select(name => new ChunkCache.LineKey(run, stage, name, attempt)).ToDictionary(key => key, cache.HeadsOf);
            // Of an older attempt hardly anything comes any more.
            var looked = lines.Where(l => attempt == newest || !ChunkCache.IsFresh(l.Value)).ToList();
            foreach (var same in looked.GroupBy(l => l.Value.Full.IsEmpty))
            {
                string[] wanted = [.. same.Select(l => l.Key.Name)];
                long after = same.Min(l => l.Value.After);
                var rows = await ofStage.Where(c => c.Attempt == attempt && wanted.Contains(c.Name) && c.FirstStep > after)
                    .OrderBy(c => c.FirstStep)
                    .Select(c => new ChunkHead(
                        c.Name, c.Attempt, c.FirstStep, c.LastStep, c.Body.Length, new SeriesHead(c.Points, c.Min, c.Max, c.Sum, c.Last)))
                    .ToListAsync(cancellation);
                var byName = rows.ToLookup(row => row.Name);
                foreach (var (key, known) in same)
                {
                    lines[key] = cache.Learn(key, known, [.. byName[key.Name].Where(row => row.FirstStep > known.After)]);
                }
            }

            chunks.AddRange(lines.Values.SelectMany(l => l.All));
        }

        return new StageChunks(ofStage, chunks, begins);
    }

    public IEnumerable<ChunkHead> Of(string name, int attempt) => byLine[(name, attempt)];

    /// <summary>The step from which a newer attempt did the work again.</summary>
    public long SupersededFrom(int attempt) =>
        Begins.Where(b => b.Key > attempt).Select(b => b.Value).DefaultIfEmpty(long.MaxValue).Min();

    /// <summary>A newer attempt begins within it.</summary>
    public bool CutThrough(ChunkHead chunk) => SupersededFrom(chunk.Attempt) is var cut && chunk.FirstStep < cut && chunk.LastStep >= cut;

    public Task<byte[]> Body(ChunkHead chunk, CancellationToken cancellation) =>
        ofStage.Where(c => c.Name == chunk.Name && c.Attempt == chunk.Attempt && c.FirstStep == chunk.FirstStep)
            .Select(c => c.Body).SingleAsync(cancellation);
}

/// <summary>Points of chunks: those that are known from memory, the others by few questions to the database.</summary>
internal sealed class ChunkReader(ChunkCache cache, OpsDb context, string run, string stage)
{
    /// <summary>
    /// Of so many chunks in a row that half are wanted, all are read by one range; scattered ones are named, so many at a time.
    /// </summary>
    private const int NamedAtOnce = 200;

    public ChunkCache.LineKey KeyOf(ChunkHead chunk) => new(run, stage, chunk.Name, chunk.Attempt);

    public async Task<IReadOnlyDictionary<ChunkHead, SeriesChunk>> Read(IReadOnlyList<ChunkHead> wanted, CancellationToken cancellation)
    {
        var read = new Dictionary<ChunkHead, SeriesChunk>(wanted.Count, ReferenceEqualityComparer.Instance);
        foreach (var line in wanted.GroupBy(c => (c.Name, c.Attempt)))
        {
            var key = KeyOf(line.First());
            var missing = new Dictionary<long, ChunkHead>();
            foreach (var chunk in line)
            {
                if ((chunk.Full ? cache.Find(key, chunk.FirstStep) : null) is { } known)
                {
                    read.Add(chunk, known);
                }
                else
                {
                    missing.Add(chunk.FirstStep, chunk);
                }
            }

            foreach (var bodies in Questions(key, missing, line.Count()))
            {
                await foreach (var row in bodies.AsAsyncEnumerable().WithCancellation(cancellation))
                {
                    if (missing.TryGetValue(row.FirstStep, out var chunk))
                    {
                        read.TryAdd(chunk, cache.Add(key, row.FirstStep, row.Body));
                    }
                }
            }
        }

        return read;
    }

    private IEnumerable<IQueryable<StoredBody>> Questions(ChunkCache.LineKey key, Dictionary<long, ChunkHead> missing, int ofLine)
    {
        if (missing.Count == 0)
        {
            yield break;
        }

        var line =
            context.SeriesChunks.Where(c => c.Run == key.Run && c.Stage == key.Stage && c.Name == key.Name && c.Attempt == key.Attempt);
        if (missing.Count * 2 >= ofLine || missing.Count <= 2)
        {
            var (first, last) = (missing.Keys.Min(), missing.Keys.Max());
            yield return line.Where(c => c.FirstStep >= first && c.FirstStep <= last).Select(c => new StoredBody(c.FirstStep, c.Body));
            yield break;
        }

        foreach (long[] some in missing.Keys.Chunk(NamedAtOnce))
        {
            yield return line.Where(c => some.Contains(c.FirstStep)).Select(c => new StoredBody(c.FirstStep, c.Body));
        }
    }

    internal sealed record StoredBody(long FirstStep, byte[] Body);
}
