namespace DeepSeekOps.ControlPlane.Storage.Series;

/// <summary>A part of a line: points, or a chunk that is drawn from its head alone because it lies inside one bucket.</summary>
internal abstract record SeriesPiece
{
    private SeriesPiece() { }

    /// <summary>Points [From, To) of a chunk.</summary>
    internal sealed record Part(SeriesChunk Chunk, int From, int To) : SeriesPiece;

    internal sealed record HeadOnly(double LastX, SeriesHead Head) : SeriesPiece;
}

/// <summary>One line of a chart, before bucketing.</summary>
/// <param name="NameIndex">Which of the names that were asked for.</param>
/// <param name="Attempt">0: the line people look at, the newest attempt winning; otherwise the abandoned part of that attempt.</param>
/// <param name="Pieces">In order of x; points only where smoothing is asked for.</param>
internal sealed record SeriesLine(int NameIndex, int Attempt, List<SeriesPiece> Pieces);

/// <summary>A line in buckets; NaN where it has no point. Last is not a number where its newest point is none.</summary>
/// <param name="NotFinite">Points of the bucket that are no numbers.</param>
internal sealed record BucketedLine(
    int NameIndex, int Attempt, float[] Min, float[] Max, float[] Mean, float[] Last, float[] NotFinite, float[]? Smoothed);

internal sealed record SeriesPicture(double[] X, List<BucketedLine> Lines);

/// <summary>
/// One bucket for each pixel, with the smallest, largest, mean and last value in it, so that no spike is lost at any zoom, and the number
/// of points that are no numbers. Smoothing runs over all points before any bucket is made, and a bucket shows it at its last point:
/// zooming cannot change it.
/// </summary>
internal static class SeriesBuckets
{
    public static SeriesPicture Draw(IReadOnlyList<SeriesLine> lines, BucketEdges edges, SeriesAxis axis, double smooth)
    {
        var drawn = new DrawnLine[lines.Count];
        // Lines know nothing of each other: a page's ten series are drawn by as many cores as there are.
        Parallel.For(0, lines.Count, l => drawn[l] = DrawnLine.Of(lines[l], edges, axis, smooth));
        double[] lastX = new double[edges.Count];
        Array.Fill(lastX, double.NegativeInfinity);
        foreach (var line in drawn)
        {
            for (int b = 0; b < lastX.Length; b++)
            {
                lastX[b] = Math.Max(lastX[b], line.LastX[b]);
            }
        }

        int[] kept = [.. Enumerable.Range(0, edges.Count).Where(b => lastX[b] > double.NegativeInfinity)];
        return new SeriesPicture([.. kept.Select(b => lastX[b])], [.. lines.Select((line, l) => ToBuckets(line, kept, drawn[l]))]);
    }

    private static BucketedLine ToBuckets(SeriesLine line, int[] kept, DrawnLine drawn)
    {
        float[] Column(Func<SeriesHead, double> of) =>
            [.. kept.Select(b => drawn.Heads[b].Points == 0 ? float.NaN : (float)of(drawn.Heads[b]))];
        return new BucketedLine(line.NameIndex, line.Attempt, Column(h => h.Min), Column(h => h.Max),
            // A sum of equal values, divided, may leave their range by a rounding.
            Column(h => Math.Clamp(h.Sum / h.Points, h.Min, h.Max)),
            [.. kept.Select(
                b => drawn.Heads[b] is { LastNotFinite: { } none } ? (float)none
                    : drawn.Heads[b].Points == 0 ? float.NaN : (float)drawn.Heads[b].Last)],
            [.. kept.Select(b => (float)drawn.Heads[b].NotFinite)],
            drawn.Smoothed is null ? null : [.. kept.Select(b => (float)drawn.Smoothed[b])]);
    }
}

/// <summary>A line's buckets while they fill.</summary>
internal sealed class DrawnLine
{
    private readonly BucketEdges edges;
    private DebiasedAverage average;

    private DrawnLine(BucketEdges edges, double smooth)
    {
        this.edges = edges;
        average = new DebiasedAverage(smooth);
        (Heads, LastX) = (new SeriesHead[edges.Count], new double[edges.Count]);
        Array.Fill(LastX, double.NegativeInfinity);
        if (smooth > 0)
        {
            Smoothed = new double[edges.Count];
            Array.Fill(Smoothed, double.NaN);
        }
    }

    public SeriesHead[] Heads { get; }

    public double[] LastX { get; }

    public double[]? Smoothed { get; }

    public static DrawnLine Of(SeriesLine line, BucketEdges edges, SeriesAxis axis, double smooth)
    {
        var drawn = new DrawnLine(edges, smooth);
        foreach (var piece in line.Pieces)
        {
            if (piece is SeriesPiece.HeadOnly chunk)
            {
                drawn.Add(edges.IndexOf(chunk.LastX), chunk.Head, chunk.LastX);
            }
            else if (piece is SeriesPiece.Part { Chunk: var points, From: var from, To: var to })
            {
                drawn.Add(points.Places.On(axis), points.Values, from, to);
            }
        }

        return drawn;
    }

    private void Add(int bucket, SeriesHead head, double lastX)
    {
        if (bucket >= 0)
        {
            Heads[bucket] = Heads[bucket].With(head);
            LastX[bucket] = Math.Max(LastX[bucket], lastX);
        }
    }

    /// <summary>Points of one bucket follow each other: each such stretch is one look at the edges.</summary>
    private void Add(double[] x, double[] values, int from, int to)
    {
        while (from < to)
        {
            int bucket = edges.IndexOf(x[from]);
            int end = edges.EndOf(x, from, to, bucket);
            if (Smoothed is not null)
            {
                average.Take(values.AsSpan(from, end - from));
            }

            if (bucket >= 0)
            {
                var head = SeriesHead.Of(values.AsSpan(from, end - from));
                Add(bucket, head, x[end - 1]);
                if (Smoothed is not null && head.Points > 0)
                {
                    Smoothed[bucket] = average.Value;
                }
            }

            from = end;
        }
    }
}

/// <summary>Exponential moving average without the pull to zero at its beginning (Adam's correction, arXiv 1412.6980, section 3).</summary>
internal struct DebiasedAverage(double weightOfPast)
{
    private double sum;
    private double weight;

    public readonly double Value => weight > 0 ? sum / weight : double.NaN;

    public void Take(ReadOnlySpan<double> values)
    {
        // Each value waits for the one before: what it takes is the whole time of a smoothed chart, so it stays in registers.
        double past = weightOfPast, own = 1 - weightOfPast, mean = sum, grown = weight;
        bool growing = true;
        foreach (double value in values)
        {
            if (double.IsFinite(value))
            {
                // Both decay alike, so the quotient of a constant series is that constant.
                mean = (past * mean) + (own * value);
                if (growing)
                {
                    double next = (past * grown) + own;
                    (growing, grown) = (next != grown, next);
                }
            }
        }

        (sum, weight) = (mean, grown);
    }
}

/// <summary>Edges that are even on the screen: in x, or in its logarithm.</summary>
internal readonly record struct BucketEdges(double From, double To, int Count, bool Log)
{
    /// <summary>−1: outside.</summary>
    public int IndexOf(double x)
    {
        if (!(x >= From && x <= To) || (Log && x <= 0))
        {
            return -1;
        }

        double share = To == From ? 0
            : Log ? (Math.Log(x) - Math.Log(From)) / (Math.Log(To) - Math.Log(From))
            : (x - From) / (To - From);
        return Math.Min((int)(share * Count), Count - 1);
    }

    /// <summary>Both lie in the same bucket.</summary>
    public bool InOne(double first, double last) => IndexOf(first) is >= 0 and var bucket && bucket == IndexOf(last);

    /// <summary>Where the points that lie in the bucket of x[from] end, if x grows; it is looked for by halves.</summary>
    public int EndOf(double[] x, int from, int to, int bucket)
    {
        // Most often all of a chunk, or all that is left of it, is in one bucket.
        if (IndexOf(x[to - 1]) == bucket && (bucket >= 0 || x[from] > To || x[to - 1] < From))
        {
            return to;
        }

        int low = from + 1, high = to - 1;
        while (low < high)
        {
            int middle = (low + high) / 2;
            bool same = bucket >= 0 ? IndexOf(x[middle]) == bucket : x[from] < From && x[middle] < From;
            (low, high) = same ? (middle + 1, high) : (low, middle);
        }

        return low;
    }
}
