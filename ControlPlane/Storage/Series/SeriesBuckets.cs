namespace DeepSeekOps.ControlPlane.Storage.Series;

/// <summary>A part of a line: points, or a chunk that is drawn from its head alone because it lies inside one bucket.</summary>
internal abstract record SeriesPiece
{
    private SeriesPiece() { }

    internal sealed record Whole(SeriesPoints Points) : SeriesPiece;

    internal sealed record HeadOnly(double LastX, SeriesHead Head) : SeriesPiece;
}

/// <summary>One line of a chart, before bucketing.</summary>
/// <param name="NameIndex">Which of the names that were asked for.</param>
/// <param name="Attempt">0: the line people look at, the newest attempt winning; otherwise the abandoned part of that attempt.</param>
/// <param name="Pieces">In order of x; points only where smoothing is asked for.</param>
internal sealed record SeriesLine(int NameIndex, int Attempt, List<SeriesPiece> Pieces);

/// <summary>A line in buckets; NaN where it has no point.</summary>
internal sealed record BucketedLine(int NameIndex, int Attempt, float[] Min, float[] Max, float[] Mean, float[] Last, float[]? Smoothed);

internal sealed record SeriesPicture(double[] X, List<BucketedLine> Lines);

/// <summary>
/// One bucket for each pixel, with the smallest, largest, mean and last value in it, so that no spike is lost at any zoom. Smoothing
/// runs over all points before any bucket is made, and a bucket shows it at its last point: zooming cannot change it.
/// </summary>
internal static class SeriesBuckets
{
    public static SeriesPicture Draw(IReadOnlyList<SeriesLine> lines, BucketEdges edges, SeriesAxis axis, double smooth)
    {
        var heads = lines.Select(_ => new SeriesHead[edges.Count]).ToList();
        var smoothed = lines.Select(_ => smooth > 0 ? new double[edges.Count] : null).ToList();
        double[] lastX = new double[edges.Count];
        Array.Fill(lastX, double.NegativeInfinity);
        bool[] used = new bool[edges.Count];
        for (int l = 0; l < lines.Count; l++)
        {
            if (smoothed[l] is { } unset)
            {
                Array.Fill(unset, double.NaN);
            }

            var average = new DebiasedAverage(smooth);
            foreach (var piece in lines[l].Pieces)
            {
                if (piece is SeriesPiece.HeadOnly chunk)
                {
                    int bucket = edges.IndexOf(chunk.LastX);
                    heads[l][bucket] = heads[l][bucket].With(chunk.Head);
                    Touch(bucket, chunk.LastX);
                }
                else if (piece is SeriesPiece.Whole whole)
                {
                    AddPoints(whole.Points, l, ref average);
                }
            }
        }

        int[] kept = [.. Enumerable.Range(0, edges.Count).Where(b => used[b])];
        return new SeriesPicture([.. kept.Select(b => lastX[b])],
            [.. lines.Select((line, l) => ToBuckets(line, kept, heads[l], smoothed[l]))]);

        void AddPoints(SeriesPoints points, int l, ref DebiasedAverage average)
        {
            var x = points.X(axis);
            for (int i = 0; i < points.Count; i++)
            {
                double smoothValue = average.Next(points.Value[i]);
                int bucket = edges.IndexOf(x(i));
                if (bucket >= 0)
                {
                    heads[l][bucket] = heads[l][bucket].With(points.Value[i]);
                    Touch(bucket, x(i));
                    if (smoothed[l] is { } target)
                    {
                        target[bucket] = smoothValue;
                    }
                }
            }
        }

        void Touch(int bucket, double x)
        {
            used[bucket] = true;
            lastX[bucket] = Math.Max(lastX[bucket], x);
        }
    }

    public static Func<int, double> X(this SeriesPoints points, SeriesAxis axis) => axis switch
    {
        SeriesAxis.Step => i => points.Step[i],
        SeriesAxis.Tokens => i => points.Tokens[i],
        _ => i => points.UnixSeconds[i],
    };

    private static BucketedLine ToBuckets(SeriesLine line, int[] kept, SeriesHead[] heads, double[]? smoothed)
    {
        float[] Column(Func<SeriesHead, double> of) => [.. kept.Select(b => heads[b].Points == 0 ? float.NaN : (float)of(heads[b]))];
        return new BucketedLine(line.NameIndex, line.Attempt, Column(h => h.Min), Column(h => h.Max),
            // A sum of equal values, divided, may leave their range by a rounding.
            Column(h => Math.Clamp(h.Sum / h.Points, h.Min, h.Max)), Column(h => h.Last),
            smoothed is null ? null : [.. kept.Select(b => (float)smoothed[b])]);
    }
}

/// <summary>Exponential moving average without the pull to zero at its beginning (Adam's correction, arXiv 1412.6980, section 3).</summary>
internal struct DebiasedAverage(double weightOfPast)
{
    private double sum;
    private double weight;

    public double Next(double value)
    {
        if (double.IsFinite(value))
        {
            // Both decay alike, so the quotient of a constant series is that constant.
            sum = (weightOfPast * sum) + ((1 - weightOfPast) * value);
            weight = (weightOfPast * weight) + (1 - weightOfPast);
        }

        return weight > 0 ? sum / weight : double.NaN;
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
}
