using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Storage.Series;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>What is drawn does not depend on where its points came from: stored heads, bodies, or memory.</summary>
public sealed class SeriesQueriesTests(PrivatePostgres postgres)
{
    public static TheoryData<DatabaseKind> Databases => [DatabaseKind.Sqlite, DatabaseKind.Postgres];

    [Theory, MemberData(nameof(Databases))]
    public async Task A_second_look_and_another_process_draw_what_the_first_drew(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        await MetricWriterTests.Write(room,
            [.. MetricWriterTests.Samples(1, 1, 5000).Select(s => s.Step is 700 or 4999 ? s with { Loss = double.NaN } : s)]);
        await MetricWriterTests.Write(room, MetricWriterTests.Samples(2, 4001, 6000, extraLoss: 3));
        var series = room.GetRequiredService<SeriesQueries>();
        foreach (var axis in Enum.GetValues<SeriesAxis>())
        {
            foreach (var (px, smooth, from) in ((int, double, double?)[])[(7, 0, null), (3000, 0, null), (50, 0.9, null),
                (40, 0, axis == SeriesAxis.Step ? 2500 : null)])
            {
                var query = new SeriesQuery("mini", "pretrain", ["loss", "mfu"], from, null, px, axis, false, smooth);
                var first = (await series.Buckets(query, TestContext.Current.CancellationToken)).Picture;
                foreach (var other in (SeriesQueries[])[series, database.Room().GetRequiredService<SeriesQueries>()])
                {
                    var again = (await other.Buckets(query, TestContext.Current.CancellationToken)).Picture;
                    Assert.Equal(first.X, again.X);
                    foreach (var (a, b) in first.Lines.Zip(again.Lines))
                    {
                        Assert.Equal((a.NameIndex, a.Attempt), (b.NameIndex, b.Attempt));
                        Assert.Equal(a.Min.Concat(a.Max).Concat(a.Last).Concat(a.NotFinite),
                            b.Min.Concat(b.Max).Concat(b.Last).Concat(b.NotFinite));
                        Assert.All(a.Mean.Zip(b.Mean), m => Assert.Equal(m.First, m.Second, 1e-5f));
                        Assert.Equal(a.Smoothed, b.Smoothed);
                    }
                }

                Assert.Equal(from is null ? [1, 1] : [0, 1], first.Lines.Where(l => l.NameIndex == 0).Select(l => l.NotFinite.Sum()));
            }
        }
    }

    [Fact]
    public async Task Points_that_came_since_are_in_the_next_look()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        var room = database.Room();
        var query = new SeriesQuery("mini", "pretrain", ["loss"], null, null, 2000, SeriesAxis.Tokens, false, 0);
        foreach (long last in (long[])[300, 512, 513, 1500])
        {
            await MetricWriterTests.Write(room, MetricWriterTests.Samples(1, 1, last));
            var (picture, _) = await room.GetRequiredService<SeriesQueries>().Buckets(query, TestContext.Current.CancellationToken);
            Assert.Equal((last, (float)MetricWriterTests.Loss(last)), (picture.X.Length, picture.Lines[0].Last[^1]));
        }
    }

    [Fact]
    public async Task A_value_at_a_step_is_that_of_the_attempt_whose_work_counts_there()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        var room = database.Room();
        await MetricWriterTests.Write(room, MetricWriterTests.Samples(1, 1, 5000));
        await MetricWriterTests.Write(room, MetricWriterTests.Samples(2, 4001, 4500, extraLoss: 3));
        var series = room.GetRequiredService<SeriesQueries>();
        foreach (var (step, extra) in (((long, double)[])[(1, 0), (777, 0), (4000, 0), (4001, 3), (4500, 3)]))
        {
            var values = await series.At("mini", "pretrain", step, TestContext.Current.CancellationToken);
            Assert.Equal(MetricWriterTests.Loss(step) + extra, values["loss"], 12);
        }

        // The first attempt was there, and its work was thrown away.
        Assert.Empty(await series.At("mini", "pretrain", 4501, TestContext.Current.CancellationToken));
        Assert.Empty(await series.At("mini", "none", 1, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Sparks_of_many_runs_are_one_answer()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        var room = database.Room();
        await MetricWriterTests.Write(room, MetricWriterTests.Samples(1, 1, 1000));
        var pictures = await room.GetRequiredService<SeriesQueries>()
            .Sparks([("mini", "pretrain"), ("none", "such")], "loss", 96, TestContext.Current.CancellationToken);
        Assert.Equal([96, 0], pictures.Select(p => p.Lines[0].Mean.Length));
    }
}
