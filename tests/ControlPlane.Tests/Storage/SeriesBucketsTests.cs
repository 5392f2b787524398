using CsCheck;
using DeepSeekOps.ControlPlane.Storage.Series;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>What a chart may never do to its data.</summary>
public sealed class SeriesBucketsTests
{
    private static readonly Gen<double[]> Values = Gen.Double[-1000, 1000].Array[1, 600];

    private static readonly Gen<(double[] Values, int Px, bool Log)> Charts = Gen.Select(Values, Gen.Int[1, 200], Gen.Bool);

    [Fact]
    public void Buckets_keep_the_smallest_and_the_largest_value() => Charts.Sample((values, px, log) =>
    {
        var line = Draw(values, new BucketEdges(1, values.Length, px, log), 0).Lines[0];
        Assert.Equal(((float)values.Min(), (float)values.Max(), (float)values[^1]), (line.Min.Min(), line.Max.Max(), line.Last[^1]));
        for (int b = 0; b < line.Min.Length; b++)
        {
            Assert.InRange(line.Mean[b], line.Min[b], line.Max[b]);
        }
    });

    [Fact]
    public void Zooming_does_not_change_smoothed_values() => Gen.Select(Values, Gen.Int[1, 100], Gen.Double[0.01, 0.999], Gen.Double[0, 1])
        .Sample((values, px, smooth, begin) =>
        {
            var full = Draw(values, new BucketEdges(1, values.Length, 100_000, false), smooth);
            var zoomed = Draw(values, new BucketEdges(1 + (begin * (values.Length - 1)), values.Length, px, false), smooth);
            for (int b = 0; b < zoomed.X.Length; b++)
            {
                Assert.Equal(full.Lines[0].Smoothed![Array.IndexOf(full.X, zoomed.X[b])], zoomed.Lines[0].Smoothed![b]);
            }
        });

    [Fact]
    public void A_constant_series_stays_that_constant() =>
    Gen.Select(Gen.Float[-1000, 1000], Gen.Int[1, 600], Gen.Double[0.01, 0.999], Gen.Int[1, 50])
        .Sample((constant, points, smooth, px) =>
        {
            var line = Draw([.. Enumerable.Repeat((double)constant, points)], new BucketEdges(1, points, px, false), smooth).Lines[0];
            Assert.All(line.Mean.Concat(line.Min).Concat(line.Max), v => Assert.Equal(constant, v));
            Assert.All(line.Smoothed!, v => Assert.Equal(constant, v, Math.Abs(constant) * 1e-5f));
        });

    [Fact]
    public void Log_edges_give_each_decade_the_same_width()
    {
        var edges = new BucketEdges(1, 1000, 3, true);
        Assert.Equal([0, 0, 1, 1, 2, 2, -1, -1], new double[] { 1, 9, 11, 99, 101, 1000, 1001, 0 }.Select(edges.IndexOf));
    }

    [Fact]
    public void Heads_of_whole_chunks_draw_the_same_as_their_points() => Gen.Select(Values, Gen.Int[1, 40]).Sample((values, px) =>
    {
        var edges = new BucketEdges(1, values.Length, px, false);
        var chunks = Enumerable.Range(0, values.Length).GroupBy(i => edges.IndexOf(i + 1)).Select(g =>
            (SeriesPiece)new SeriesPiece.HeadOnly(g.Last() + 1, SeriesHead.Of(g.Select(i => values[i]).ToArray())));
        var heads = SeriesBuckets.Draw([new SeriesLine(0, 0, [.. chunks])], edges, SeriesAxis.Step, 0);
        var points = Draw(values, edges, 0);
        Assert.Equal(points.X, heads.X);
        Assert.Equal(points.Lines[0].Min, heads.Lines[0].Min);
        Assert.Equal(points.Lines[0].Max, heads.Lines[0].Max);
        Assert.Equal(points.Lines[0].Last, heads.Lines[0].Last);
        Assert.Equal(points.Lines[0].Mean, heads.Lines[0].Mean);
    });

    [Fact]
    public void Points_that_are_no_numbers_are_counted_and_spoil_nothing() =>
    Gen.Select(Values, Gen.Int[1, 40], Gen.Bool.Array[1, 600]).Sample((values, px, bad) =>
    {
        double[] holed = [.. values.Select((v, i) => i < bad.Length && bad[i] ? i % 2 == 0 ? double.NaN : double.NegativeInfinity : v)];
        var line = Draw(holed, new BucketEdges(1, values.Length, px, false), 0).Lines[0];
        Assert.Equal(holed.Count(v => !double.IsFinite(v)), line.NotFinite.Sum());
        Assert.Equal((float)holed[^1], line.Last[^1]);
        double[] finite = [.. holed.Where(double.IsFinite)];
        float[] drawn = [.. line.Max.Where(float.IsFinite)];
        Assert.Equal(finite.Length == 0, drawn.Length == 0);
        Assert.Equal((float)finite.DefaultIfEmpty().Max(), drawn.DefaultIfEmpty().Max());
    });

    private static SeriesPicture Draw(double[] values, BucketEdges edges, double smooth)
    {
        double[] x = [.. values.Select((_, i) => (double)i)];
        var chunk = new SeriesChunk(new ChunkPlaces([.. x.Select(v => v + 1)], x, x), values);
        return SeriesBuckets.Draw([new SeriesLine(0, 0, [new SeriesPiece.Part(chunk, 0, values.Length)])], edges, SeriesAxis.Step, smooth);
    }
}
