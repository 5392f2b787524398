using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Storage.Tables;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage.Series;

/// <summary>A series of a stage, over all of its attempts.</summary>
/// <param name="Last">Of the newest attempt.</param>
public sealed record SeriesSummary(string Stage, string Name, long Points, long FirstStep, long LastStep, double Last, double Min, double Max);

/// <summary>Reads series for people. The newest attempt wins from the step it began at; what older attempts did beyond is a ghost.</summary>
public sealed class SeriesQueries(OpsConnections connections)
{
    public async Task<ImmutableArray<SeriesSummary>> Summaries(string run, string? stage, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var heads = await context.SeriesChunks.Where(c => c.Run == run && (stage == null || c.Stage == stage))
            .OrderBy(c => c.Stage).ThenBy(c => c.Name).ThenBy(c => c.Attempt).ThenBy(c => c.FirstStep)
            .Select(c => new { c.Stage, c.Name, c.FirstStep, c.LastStep, c.Points, c.Min, c.Max, c.Sum, c.Last })
            .ToListAsync(cancellation);
        return [.. heads.GroupBy(c => (c.Stage, c.Name)).Select(g =>
        {
            var all = g.Aggregate(default(SeriesHead), (head, c) => head.With(new SeriesHead(c.Points, c.Min, c.Max, c.Sum, c.Last)));
            return new SeriesSummary(g.Key.Stage, g.Key.Name, all.Points, g.Min(c => c.FirstStep), g.Max(c => c.LastStep), all.Last, all.Min, all.Max);
        })];
    }

    /// <summary>The lines of a chart in buckets, and a tag that changes when their data does.</summary>
    internal async Task<(SeriesPicture Picture, string Tag)> Buckets(SeriesQuery query, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var stage = await StageChunks.Read(context, query.Run, query.Stage, query.Names, cancellation);
        var lines = new List<SeriesLine>();
        BucketEdges edges;
        if (query is { Axis: SeriesAxis.Step, Smooth: 0 })
        {
            edges = EdgesOf(query, stage.Chunks.SelectMany(c => new double[] { c.FirstStep, c.LastStep }));
            bool FitsOneBucket(ChunkHead c) => edges.IndexOf(c.FirstStep) is >= 0 and var first && first == edges.IndexOf(c.LastStep);
            bool IsOutside(ChunkHead c) => c.LastStep < edges.From || c.FirstStep > edges.To;
            await AddLines(stage, query, lines, c => IsOutside(c) ? Use.Nothing : FitsOneBucket(c) ? Use.Head : Use.Body, cancellation);
        }
        else
        {
            await AddLines(stage, query, lines, _ => Use.Body, cancellation);
            edges = EdgesOf(query, lines.SelectMany(l => l.Pieces).OfType<SeriesPiece.Whole>().SelectMany(w => Ends(w.Points, query.Axis)));
        }

        return (SeriesBuckets.Draw(lines, edges, query.Axis, query.Smooth), stage.Tag);
    }

    /// <summary>All points of some series (none named: all), step by step, attempt after attempt.</summary>
    internal async IAsyncEnumerable<ExportRow> Export(
        SeriesQuery query, ImmutableArray<string> names, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var stage = await StageChunks.Read(context, query.Run, query.Stage, names, cancellation);
        foreach (int attempt in stage.Begins.Keys.Order())
        {
            var rows = new SortedDictionary<long, ExportRow>();
            for (int n = 0; n < names.Length; n++)
            {
                var points = new SeriesPoints();
                foreach (var chunk in stage.Of(names[n], attempt))
                {
                    points.AddBody(await stage.Body(chunk, cancellation));
                }

                for (int i = 0; i < points.Count; i++)
                {
                    if (!rows.TryGetValue(points.Step[i], out var row))
                    {
                        row = new ExportRow(attempt, points.Step[i] >= stage.SupersededFrom(attempt), points.Step[i], points.Tokens[i],
                            points.UnixSeconds[i], new double?[names.Length]);
                        rows[points.Step[i]] = row;
                    }

                    row.Values[n] = points.Value[i];
                }
            }

            foreach (var row in rows.Values)
            {
                yield return row;
            }
        }
    }

    private enum Use
    {
        Nothing,
        Head,
        Body,
    }

    private static async Task AddLines(
        StageChunks stage, SeriesQuery query, List<SeriesLine> lines, Func<ChunkHead, Use> use, CancellationToken cancellation)
    {
        for (int n = 0; n < query.Names.Length; n++)
        {
            var main = new SeriesLine(n, 0, []);
            lines.Add(main);
            foreach (int attempt in stage.Begins.Keys.Order())
            {
                var ghost = new SeriesLine(n, attempt, []);
                long cut = stage.SupersededFrom(attempt);
                foreach (var chunk in stage.Of(query.Names[n], attempt))
                {
                    await AddChunk(stage, chunk, use(chunk), cut, main, ghost, cancellation);
                }

                if (ghost.Pieces.Count > 0)
                {
                    lines.Add(ghost);
                }
            }
        }
    }

    private static async Task AddChunk(
        StageChunks stage, ChunkHead chunk, Use use, long cut, SeriesLine main, SeriesLine ghost, CancellationToken cancellation)
    {
        bool cutThrough = chunk.FirstStep < cut && chunk.LastStep >= cut;
        if (use == Use.Head && !cutThrough)
        {
            (chunk.FirstStep < cut ? main : ghost).Pieces.Add(new SeriesPiece.HeadOnly(chunk.LastStep, chunk.Head));
        }
        else if (use != Use.Nothing)
        {
            byte[] body = await stage.Body(chunk, cancellation);
            Add(main, before: cut);
            Add(ghost, from: cut);

            void Add(SeriesLine line, long from = long.MinValue, long before = long.MaxValue)
            {
                var points = new SeriesPoints();
                points.AddBody(body, from, before);
                if (points.Count > 0)
                {
                    line.Pieces.Add(new SeriesPiece.Whole(points));
                }
            }
        }
    }

    private static IEnumerable<double> Ends(SeriesPoints points, SeriesAxis axis)
    {
        var x = points.X(axis);
        return [x(0), x(points.Count - 1)];
    }

    private static BucketEdges EdgesOf(SeriesQuery query, IEnumerable<double> seen)
    {
        double min = double.PositiveInfinity;
        double max = double.NegativeInfinity;
        foreach (double x in seen)
        {
            // Step 0 has no place on a logarithmic axis; it begins at 1.
            min = Math.Min(min, query.LogX ? Math.Max(x, 1) : x);
            max = Math.Max(max, x);
        }

        return new BucketEdges(query.From ?? min, query.To ?? max, query.Px, query.LogX);
    }
}

/// <summary>A point of each series at one step.</summary>
internal sealed record ExportRow(int Attempt, bool Superseded, long Step, double Tokens, double UnixSeconds, double?[] Values);

/// <summary>A chunk without its body.</summary>
internal sealed record ChunkHead(string Name, int Attempt, long FirstStep, long LastStep, int Bytes, SeriesHead Head);

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

    public static async Task<StageChunks> Read(
        OpsDb context, string run, string stage, ImmutableArray<string> names, CancellationToken cancellation)
    {
        var ofStage = context.SeriesChunks.Where(c => c.Run == run && c.Stage == stage);
        var begins = await ofStage.GroupBy(c => c.Attempt).Select(g => new { Attempt = g.Key, First = g.Min(c => c.FirstStep) })
            .ToDictionaryAsync(g => g.Attempt, g => g.First, cancellation);
        string[] wanted = [.. names];
        var chunks = await ofStage.Where(c => wanted.Contains(c.Name)).OrderBy(c => c.Attempt).ThenBy(c => c.FirstStep)
            .Select(c => new ChunkHead(c.Name, c.Attempt, c.FirstStep, c.LastStep, c.Body.Length, new SeriesHead(c.Points, c.Min, c.Max, c.Sum, c.Last)))
            .ToListAsync(cancellation);
        return new StageChunks(ofStage, chunks, begins);
    }

    public IEnumerable<ChunkHead> Of(string name, int attempt) => byLine[(name, attempt)];

    /// <summary>The step from which a newer attempt did the work again.</summary>
    public long SupersededFrom(int attempt) =>
        Begins.Where(b => b.Key > attempt).Select(b => b.Value).DefaultIfEmpty(long.MaxValue).Min();

    public Task<byte[]> Body(ChunkHead chunk, CancellationToken cancellation) =>
        ofStage.Where(c => c.Name == chunk.Name && c.Attempt == chunk.Attempt && c.FirstStep == chunk.FirstStep)
            .Select(c => c.Body).SingleAsync(cancellation);
}
