using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.ControlPlane.Storage.ExpertLoads;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Health;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

public sealed class ExpertLoadTests(PrivatePostgres postgres)
{
    private static readonly StageId Stage = new("mini", "pretrain");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<DatabaseKind> Databases => [DatabaseKind.Sqlite, DatabaseKind.Postgres];

    [Theory, MemberData(nameof(Databases))]
    public async Task Whatever_was_told_is_read_back_and_told_twice_is_there_once(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var load = new ExpertLoad(5, DateTimeOffset.UnixEpoch.AddDays(9), 1, 3, 1, 2, [0, 2, 0.25f, 1.75f, 1, 1]);
        await Write(database.Room(), load with { Step = 1 }, load);
        await Write(database.Room(), load, load with { Step = 10, Ratios = [1, 1, 1, 1, 0.5f, 1.5f] });

        var history = (await History(database))!;
        Assert.Equal(("pretrain", 1L, 10L), (history.Stage, history.First.Step, history.Newest.Step));
        Assert.Equal(load with { Step = 1, Ratios = default }, history.First with { Ratios = default });
        Assert.Equal(load.Ratios, history.First.Ratios);
        Assert.Equal(["3", "4", "mtp 1"], history.Newest.Layers().Select(l => l.Name));
        Assert.Equal(["1: 2 1.75 1", "5: 2 1.75 1", "10: 1 1 1.5"],
            history.Points.Select(p => FormattableString.Invariant($"{p.Step}: {string.Join(' ', p.Ratios)}")));
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task A_stage_keeps_so_many_about_evenly_spread_with_its_first_and_its_newest(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        const int Told = 900;
        for (int step = 1; step <= Told; step += 9)
        {
            await Write(room, [.. Enumerable.Range(step, 9).Select(s => Load(1, s))]);
        }

        long[] steps = [.. (await History(database))!.Points.Select(p => p.Step)];
        Assert.Equal((ExpertLoadWriter.KeptMax, 1L, (long)Told), (steps.Length, steps[0], steps[^1]));
        Assert.All(steps.Zip(steps.Skip(1)), pair => Assert.InRange(pair.Second - pair.First, 1, 2 * Told / ExpertLoadWriter.KeptMax + 2));
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task What_a_newer_attempt_goes_back_behind_is_gone_from_its_first_step_on(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        await Write(room, Load(1, 1), Load(1, 5), Load(1, 10), Load(1, 15));
        // Attempt 2 goes on from step 7: its samples are there before it tells of its experts.
        await MetricWriterTests.Write(room, MetricWriterTests.Samples(2, 8, 9));
        Assert.Equal([(1, 1L), (1, 5)], (await History(database))!.Points.Select(p => (p.Attempt, p.Step)));
        await Write(room, Load(2, 8), Load(2, 10));
        Assert.Equal([(1, 1L), (1, 5), (2, 8), (2, 10)], (await History(database))!.Points.Select(p => (p.Attempt, p.Step)));
    }

    /// <summary>Attempts that each go on from a step the last one had done, by whether each told at each step.</summary>
    private static readonly Gen<(int Begin, int Steps)[]> Attempts = Gen.Select(Gen.Int[0, 40], Gen.Int[1, 30],
        (begin, steps) => (begin, steps)).Array[1, 6];

    [Fact]
    public async Task The_living_line_is_that_of_whoever_did_a_step_last() => await Attempts.SampleAsync(async attempts =>
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        var expected = new SortedDictionary<long, int>();
        var told = new List<ExpertLoad>();
        long done = 0;
        for (int attempt = 1; attempt <= attempts.Length; attempt++)
        {
            var (begin, steps) = attempts[attempt - 1];
            long from = Math.Min(begin, done);
            expected.Keys.Where(step => step > from).ToList().ForEach(step => expected.Remove(step));
            for (long step = from + 1; step <= from + steps; step++)
            {
                told.Add(Load(attempt, step));
                expected[step] = attempt;
            }

            done = from + steps;
        }

        await Write(database.Room(), [.. told]);
        Assert.Equal(expected.Select(e => (e.Value, e.Key)), (await History(database))!.Points.Select(p => (p.Attempt, p.Step)));
    }, iter: 25);

    [Fact]
    public async Task Who_follows_hears_that_nothing_was_told_and_then_each_new_load()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        var room = database.Room();
        await using var following = room.GetRequiredService<ExpertLoadQueries>().Follow("mini", null, Cancellation)
            .GetAsyncEnumerator(Cancellation);
        Assert.True(await following.MoveNextAsync());
        Assert.Null(following.Current);
        await Write(room, Load(1, 1));
        Assert.True(await following.MoveNextAsync());
        Assert.Equal(1, following.Current!.Newest.Step);
        await Write(room, Load(1, 5));
        Assert.True(await following.MoveNextAsync());
        Assert.Equal(5, following.Current!.Newest.Step);
    }

    [Fact]
    public void A_layer_is_told_in_figures()
    {
        var layer = Assert.Single(new ExpertLoad(1, default, 1, 3, 0, 4, [0, 2, 1, 1]).Layers());
        Assert.Equal(("3", 2.0, 1, 0.0, 0.25), (layer.Name, layer.Busiest, layer.BusiestExpert, layer.Idlest, layer.WithoutTokens));
        Assert.Equal(Math.Sqrt(0.5), layer.Variation, 9);
    }

    private static ExpertLoad Load(int attempt, long step) =>
        new(step, DateTimeOffset.UnixEpoch.AddSeconds(step), attempt, 1, 0, 2, [0.5f, 1.5f]);

    private static async Task Write(ServiceProvider room, params ImmutableArray<ExpertLoad> loads)
    {
        var written = room.GetRequiredService<ExpertLoadWriter>().TryWrite(Stage, loads);
        Assert.NotNull(written);
        await written;
    }

    private static Task<ExpertLoadHistory?> History(TestDatabase database) =>
        database.Room().GetRequiredService<ExpertLoadQueries>().History("mini", null, Cancellation);
}
