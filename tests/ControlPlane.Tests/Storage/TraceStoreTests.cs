using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Tracing;
using DeepSeekOps.Recipes.Pipelining;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>Recordings in the ledger, on both databases. Costs a second or two of a core.</summary>
public sealed class TraceStoreTests(PrivatePostgres postgres)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<DatabaseKind> Databases => [DatabaseKind.Sqlite, DatabaseKind.Postgres];

    [Theory, MemberData(nameof(Databases))]
    public async Task The_newest_few_of_a_run_are_kept_and_come_back_whole(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var store = database.Room().GetRequiredService<TraceStore>();
        await store.Keep(Of("other", 1), Cancellation);
        for (long id = 1; id <= StageTrace.KeptOfRun + 2; id++)
        {
            await store.Keep(Of("mini", id), Cancellation);
            // A tick that ended between write and answer says it once more.
            await store.Keep(Of("mini", id), Cancellation);
        }

        var kept = await store.Of("mini", Cancellation);
        Assert.Equal(Enumerable.Range(3, StageTrace.KeptOfRun).Reverse().Select(i => (long)i), kept.Select(k => k.Id));
        Assert.Equal(("pretrain", 2, 41L, 2, 2), (kept[0].Stage, kept[0].Attempt, kept[0].FirstStep, kept[0].Steps, kept[0].Ranks));
        Assert.Single(await store.Of("other", Cancellation));
        var read = (await database.Room().GetRequiredService<TraceStore>().Read("mini", null, Cancellation))!;
        var made = Of("mini", StageTrace.KeptOfRun + 2);
        Assert.Equal(LedgerJson.Write(made), LedgerJson.Write(read));
        Assert.Equal(made.Drawn[1].Spans!.Each(), read.Drawn[1].Spans!.Each());
        Assert.Null(await store.Read("mini", 1, Cancellation));
        Assert.Null(await store.Read("none", null, Cancellation));
    }

    private static StageTrace Of(string run, long id)
    {
        var layout = new ParallelLayout { Pipeline = 2 };
        RankStep[] steps = [new(41, 0, 10, 1, 9, 5, 1, 0, 1) { Forward = 1, Backward = 2 }, new(42, 10, 20, 11, 19, 5, 1, 0, 1)];
        return StageTrace.Of(TraceOrder.New(id, 2, 2, 2, layout), new StageId(run, "pretrain"),
            new DateTimeOffset(2026, 1, 1, 0, 0, (int)id, TimeSpan.Zero), layout,
            [.. Enumerable.Range(0, 2).Select(rank => new RankTrace(id, 2, rank, "one", [.. steps], [0, 10, 20])
            {
                Spans = new RankSpans(0, ["step: step 41", "forward: micro-batch 0, piece 0"], [0, 1], [0, 1], [10, 5], 3),
            })], rank => $"node-{rank}");
    }
}
