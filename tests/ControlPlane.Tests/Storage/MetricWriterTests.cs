using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Series;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Health;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

public sealed class MetricWriterTests(PrivatePostgres postgres)
{
    internal static readonly StageId Stage = new("mini", "pretrain");

    public static TheoryData<DatabaseKind> Databases => [DatabaseKind.Sqlite, DatabaseKind.Postgres];

    [Theory, MemberData(nameof(Databases))]
    public async Task Samples_sent_again_to_a_new_process_are_one_point_each(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        await Write(database.Room(), Samples(1, 1, 700));
        await Write(database.Room(), Samples(1, 500, 1300));

        var loss = Assert.Single(await Summaries(database), s => s.Name == "loss");
        Assert.Equal((1300, 1, 1300), (loss.Points, loss.FirstStep, loss.LastStep));
        Assert.Equal((Loss(1300), Loss(1), Loss(1300)), (loss.Min, loss.Max, loss.Last));
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task A_newer_attempt_wins_and_what_the_older_did_beyond_is_a_ghost(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        await Write(room, Samples(1, 1, 1000));
        await Write(room, Samples(2, 601, 1200, extraLoss: 100));

        var (picture, _) = await room.GetRequiredService<SeriesQueries>().Buckets(
            new SeriesQuery("mini", "pretrain", ["loss"], null, null, 4000, SeriesAxis.Step, false, 0),
            TestContext.Current.CancellationToken);
        Assert.Equal([0, 1], picture.Lines.Select(l => l.Attempt));
        Assert.Equal(Enumerable.Range(1, 1200).Select(s => (double)s), picture.X);
        for (int i = 0; i < 1200; i++)
        {
            long step = i + 1;
            Assert.Equal((float)(Loss(step) + (step > 600 ? 100 : 0)), picture.Lines[0].Last[i]);
            Assert.Equal(step is > 600 and <= 1000 ? (float)Loss(step) : float.NaN, picture.Lines[1].Last[i]);
        }
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task A_loss_that_is_not_a_number_is_kept_and_does_not_spoil_its_chunk(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        await Write(database.Room(), [Sample(1, 1, 2), Sample(1, 2, double.NaN), Sample(1, 3, double.PositiveInfinity)]);

        var loss = Assert.Single(await Summaries(database), s => s.Name == "loss");
        Assert.Equal((1, 2.0, 2.0, double.PositiveInfinity, 3, 2),
            (loss.Points, loss.Min, loss.Max, loss.Last, loss.LastStep, loss.NotFinite));
    }

    [Fact]
    public async Task Live_pages_hear_of_new_samples_of_their_run_once()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        var room = database.Room();
        using var page = room.GetRequiredService<LiveSeries>().Subscribe("mini");
        await Write(room, Samples(1, 1, 2));
        await Write(room, Samples(1, 1, 3), new StageId("other", "pretrain"));
        await Write(room, Samples(1, 1, 3));

        using var frame = new BinaryReader(new MemoryStream(await page.NextFrame(TestContext.Current.CancellationToken)));
        Assert.Equal((1, 0, 3), (frame.ReadInt32(), frame.ReadInt32(), frame.ReadInt32()));
    }

    [Fact]
    public async Task A_page_that_is_too_slow_is_told_how_many_samples_it_missed()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        var room = database.Room();
        using var page = room.GetRequiredService<LiveSeries>().Subscribe("mini");
        for (int step = 1; step <= 300; step++)
        {
            await Write(room, Samples(1, step, step));
        }

        using var frame = new BinaryReader(new MemoryStream(await page.NextFrame(TestContext.Current.CancellationToken)));
        Assert.Equal((1, 44, 256), (frame.ReadInt32(), frame.ReadInt32(), frame.ReadInt32()));
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task A_damaged_chunk_of_one_stage_keeps_no_other_stage_from_being_written(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        await Write(database.Room(), Samples(1, 1, 3));
        await using (var connections = new OpsConnections(database.Database))
        await using (var connection = await connections.Open(TestContext.Current.CancellationToken))
        await using (var damage = connection.CreateCommand())
        {
            damage.CommandText = "UPDATE series_chunk SET body = substr(body, 1, 7)";
            await damage.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }

        var room = database.Room();
        var writer = room.GetRequiredService<MetricWriter>();
        Assert.True(writer.TryWrite(Stage, Samples(1, 4, 5), out var damaged));
        await Assert.ThrowsAsync<InvalidDataException>(() => damaged.WaitAsync(TestContext.Current.CancellationToken));
        await Write(room, Samples(1, 1, 3), new StageId("mini", "sft"));
    }

    [Fact]
    public async Task A_server_whose_name_nobody_knows_fails_each_write_and_ends_none_of_those_after_it()
    {
        var services = new ServiceCollection().AddLogging().AddStorage(
            OpsDatabase.Parse("Host=nowhere.invalid;Username=dsops;Database=dsops", ""));
        await using var room = services.BuildServiceProvider();
        for (int again = 0; again < 2; again++)
        {
            Assert.True(room.GetRequiredService<MetricWriter>().TryWrite(Stage, Samples(1, 1, 3), out var durable));
            await Assert.ThrowsAnyAsync<Exception>(() => durable.WaitAsync(TestContext.Current.CancellationToken));
        }
    }

    internal static async Task Write(ServiceProvider room, ImmutableArray<StepSample> samples, StageId? stage = null)
    {
        Assert.True(room.GetRequiredService<MetricWriter>().TryWrite(stage ?? Stage, samples, out var durable));
        await durable;
    }

    internal static double Loss(long step) => 10 - (step * 0.001);

    internal static ImmutableArray<StepSample> Samples(int attempt, long first, long last, double extraLoss = 0) =>
        [.. Enumerable.Range((int)first, (int)(last - first + 1)).Select(step => Sample(attempt, step, Loss(step) + extraLoss))];

    internal static StepSample Sample(int attempt, long step, double loss) => new(
        step, DateTimeOffset.UnixEpoch.AddSeconds(1_000_000 + step), "4Ki", loss, 1, 1e-3, step * 4096, 0.5, attempt,
        ImmutableDictionary<string, double>.Empty.Add("mfu", 0.4));

    private static async Task<ImmutableArray<SeriesSummary>> Summaries(TestDatabase database) =>
        await database.Room().GetRequiredService<SeriesQueries>().Summaries("mini", null, TestContext.Current.CancellationToken);
}
