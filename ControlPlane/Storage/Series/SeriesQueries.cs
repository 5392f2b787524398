using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Storage.Tables;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage.Series;

/// <summary>A series of a stage, over all of its attempts.</summary>
/// <param name="Points">Those with a number.</param>
/// <param name="Last">Of the newest attempt; NaN or infinite where its newest point is.</param>
/// <param name="NotFinite">Points that are no numbers.</param>
public sealed record SeriesSummary(
    string Stage, string Name, long Points, long FirstStep, long LastStep, double Last, double Min, double Max, long NotFinite);

/// <summary>
/// Reads series for people. The newest attempt wins from the step it began at; what older attempts did beyond is a ghost.
/// </summary>
public sealed class SeriesQueries(OpsConnections connections)
{
    private readonly ChunkCache cache = new();

    public async Task<ImmutableArray<SeriesSummary>> Summaries(string run, string? stage, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var ofRun = context.SeriesChunks.Where(c => c.Run == run && (stage == null || c.Stage == stage));
        var heads = await ofRun.OrderBy(c => c.Stage).ThenBy(c => c.Name).ThenBy(c => c.Attempt).ThenBy(c => c.FirstStep)
            .Select(c => new SummaryHead(c.Stage, new ChunkHead(
                c.Name, c.Attempt, c.FirstStep, c.LastStep, c.Body.Length, new SeriesHead(c.Points, c.Min, c.Max, c.Sum, c.Last))))
            .ToListAsync(cancellation);
        var summaries = ImmutableArray.CreateBuilder<SeriesSummary>();
        foreach (var series in heads.GroupBy(h => (h.Stage, h.Chunk.Name)))
        {
            var (chunks, newest) = (series.Select(h => h.Chunk).ToList(), series.Last().Chunk);
            var all = chunks.Aggregate(default(SeriesHead), (head, c) => head.With(c.Head));
            double last = all.Last;
            if (newest.HasNotFinite)
            {
                // Only the points know whether the newest of them is a number.
                byte[] body = await ofRun.Where(c => c.Stage == series.Key.Stage && c.Name == newest.Name && c.Attempt == newest.Attempt
                    && c.FirstStep == newest.FirstStep).Select(c => c.Body).SingleAsync(cancellation);
                last = SeriesChunk.Of(body).Values[^1];
            }

            summaries.Add(
                new SeriesSummary(series.Key.Stage, series.Key.Name, all.Points, chunks.Min(c => c.FirstStep), chunks.Max(c => c.LastStep),
                last, all.Min, all.Max, chunks.Sum(c => (long)c.NotFinite)));
        }

        return summaries.ToImmutable();
    }

    /// <summary>
    /// Each series' value at one step, by name, of the attempt whose work counts there; a series without a point there is left out.
    /// </summary>
    internal async Task<Dictionary<string, double>> At(string run, string stage, long step, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var ofStage = context.SeriesChunks.Where(c => c.Run == run && c.Stage == stage);
        var begins = await ofStage.GroupBy(c => c.Attempt).Select(g => new { Attempt = g.Key, First = g.Min(c => c.FirstStep) })
            .ToListAsync(cancellation);
        int attempt = begins.Where(b => b.First <= step).Select(b => b.Attempt).DefaultIfEmpty(-1).Max();
        var chunks = await ofStage.Where(c => c.Attempt == attempt && c.FirstStep <= step && c.LastStep >= step)
            .Select(c => new { c.Name, c.Body }).ToListAsync(cancellation);
        var values = new Dictionary<string, double>(chunks.Count, StringComparer.Ordinal);
        foreach (var chunk in chunks)
        {
            var points = SeriesChunk.Of(chunk.Body);
            int at = Array.BinarySearch(points.Places.Step, step);
            if (at >= 0)
            {
                values[chunk.Name] = points.Values[at];
            }
        }

        return values;
    }

    /// <summary>The lines of a chart in buckets, and a tag that changes when their data does.</summary>
    internal async Task<(SeriesPicture Picture, string Tag)> Buckets(SeriesQuery query, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var stage = await StageChunks.Read(context, cache, query.Run, query.Stage, query.Names, cancellation);
        var reader = new ChunkReader(cache, context, query.Run, query.Stage);
        bool byStep = query is { Axis: SeriesAxis.Step, Smooth: 0 };
        var edges = byStep ? EdgesOf(query, stage.Chunks.SelectMany(c => new double[] { c.FirstStep, c.LastStep })) : default;
        var points = await reader.Read([.. stage.Chunks.Where(c => !byStep || NeedsPoints(c))], cancellation);
        if (!byStep)
        {
            edges = EdgesOf(query, points.Values.SelectMany(c => new[] { c.Places.On(query.Axis)[0], c.Places.On(query.Axis)[^1] }));
        }

        return (SeriesBuckets.Draw(Lines(stage, query, edges, byStep, points), edges, query.Axis, query.Smooth), stage.Tag);

        // A head is enough for a chunk inside one bucket; it does not know which of its points are no numbers, and where a newer attempt
        // cuts.
        bool NeedsPoints(ChunkHead c) => c.LastStep >= edges.From && c.FirstStep <= edges.To
            && (c.HasNotFinite || !edges.InOne(c.FirstStep, c.LastStep) || stage.CutThrough(c)
                || cache.Find(reader.KeyOf(c), c.FirstStep) is not null);
    }

    /// <summary>Of many runs the same series in few buckets, for a list: one call, not one for each row.</summary>
    internal async Task<List<SeriesPicture>> Sparks(
        IReadOnlyList<(string Run, string Stage)> stages, string name, int px, CancellationToken cancellation)
    {
        var pictures = new List<SeriesPicture>(stages.Count);
        foreach (var (run, stage) in stages)
        {
            pictures.Add(
                (await Buckets(new SeriesQuery(run, stage, [name], null, null, px, SeriesAxis.Step, false, 0), cancellation)).Picture);
        }

        return pictures;
    }

    /// <summary>All points of some series (none named: all), step by step, attempt after attempt.</summary>
    internal async IAsyncEnumerable<ExportRow> Export(
        SeriesQuery query, ImmutableArray<string> names, [System.Runtime.CompilerServices.EnumeratorCancellation]
            CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var stage = await StageChunks.Read(context, cache, query.Run, query.Stage, names, cancellation);
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

    private static List<SeriesLine> Lines(
        StageChunks stage, SeriesQuery query, BucketEdges edges, bool byStep, IReadOnlyDictionary<ChunkHead, SeriesChunk> points)
    {
        var lines = new List<SeriesLine>();
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
                    if (points.TryGetValue(chunk, out var read))
                    {
                        int at = cut == long.MaxValue ? read.Count : read.IndexOf(cut);
                        Add(main, read, 0, at);
                        Add(ghost, read, at, read.Count);
                    }
                    else if (byStep && edges.InOne(chunk.FirstStep, chunk.LastStep))
                    {
                        (chunk.FirstStep < cut ? main : ghost).Pieces.Add(new SeriesPiece.HeadOnly(chunk.LastStep, chunk.Head));
                    }
                }

                if (ghost.Pieces.Count > 0)
                {
                    lines.Add(ghost);
                }
            }
        }

        return lines;

        static void Add(SeriesLine line, SeriesChunk chunk, int from, int to)
        {
            if (to > from)
            {
                line.Pieces.Add(new SeriesPiece.Part(chunk, from, to));
            }
        }
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
