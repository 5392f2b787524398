using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>The list of runs at the size that it has after a year.</summary>
public sealed class RunListTests(PrivatePostgres postgres)
{
    private static readonly DateTimeOffset Began = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<DatabaseKind> Databases => [DatabaseKind.Sqlite, DatabaseKind.Postgres];

    [Theory, MemberData(nameof(Databases))]
    public async Task The_oldest_of_ten_thousand_runs_is_found_and_the_counts_are_of_all(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        await Seed(room, 10_000);
        var list = room.GetRequiredService<RunListQueries>();

        var first = await list.Page(new RunListQuery("", "", null, 100), Cancellation);
        Assert.Equal((10_000, 10_000, 0), (first.Total, first.All, first.Before));
        Assert.Equal([("completed", 9_000), ("failed", 990), ("running", 10)], first.States.Select(s => (s.Key, s.Value)));
        Assert.Equal(["running", "failed", "failed"], first.Runs.Where((_, i) => i is 9 or 10 or 99).Select(r => r.State));
        Assert.True(first.Runs[0].SubmittedAt > first.Runs[1].SubmittedAt);

        foreach (string search in (string[])["run-00000", "name=run-00000", "team:oldest", "OLDEST", "group=west -state:failed team:old*",
            "ru*00000"])
        {
            var found = await list.Page(new RunListQuery(search, "", null, 100), Cancellation);
            Assert.Equal(("run-00000", 1, 10_000), (Assert.Single(found.Runs).Name, found.Total, found.All));
        }

        Assert.Equal(990, (await list.Page(new RunListQuery("run-", "failed", null, 10), Cancellation)).Total);
        Assert.Equal(10, (await list.Page(new RunListQuery("", "active", null, 1), Cancellation)).Total);
        await room.GetRequiredService<RunRegistry>().Record(Run("run-newest", "queued", 20_000), Cancellation);
        var again = await list.Page(new RunListQuery("", "", null, 1_001), Cancellation);
        Assert.Equal([("running", 0), ("failed", 10), ("queued", 1000)],
            again.Runs.Select((r, i) => (r.State, i)).DistinctBy(r => r.State));
        Assert.Equal(11, (await list.Unfinished(Cancellation)).Length);
        Assert.Empty((await list.Page(new RunListQuery("100%_\\", "", null, 10), Cancellation)).Runs);
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task Pages_hold_each_run_once_although_runs_come_and_end_between_them(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        await Seed(room, 250);
        var list = room.GetRequiredService<RunListQueries>();
        var seen = new List<string>();
        RunListPlace? place = null;
        do
        {
            var page = await list.Page(new RunListQuery("run-", "", place, 40), Cancellation);
            Assert.Equal(seen.Count, page.Before - (page.Total - 250));
            seen.AddRange(page.Runs.Select(r => r.Name));
            place = page.Next is null ? null : RunListPlace.FromToken(page.Next.ToToken());
            await room.GetRequiredService<RunRegistry>()
                .Record(Run($"run-new-{seen.Count}", "running", 100_000 + seen.Count), Cancellation);
        }
        while (place is not null);
        Assert.Equal(Enumerable.Range(0, 250).Select(i => $"run-{i:00000}").Order(), seen.Order());
    }

    [Fact]
    public async Task A_page_of_runs_with_texts_of_94_kB_is_a_small_answer()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        var room = database.Room();
        for (int i = 0; i < 60; i++)
        {
            await room.GetRequiredService<RunRegistry>().Record(
                Run($"run-{i:00000}", "completed", i) with { PipelineText = new string('#', 94_000), Reason = new string('x', 5_000) },
                Cancellation);
        }

        var page = await room.GetRequiredService<RunListQueries>().Page(new RunListQuery("", "", null, 100), Cancellation);
        Assert.Equal(60, page.Runs.Length);
        Assert.True(LedgerJson.Write(page.Runs).Length < 100_000);
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task Runs_of_a_database_from_before_the_list_are_in_it_after_a_start(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        await Seed(room, 120);
        await using (var context = room.GetRequiredService<OpsConnections>().Context())
        {
            await context.RunList.ExecuteDeleteAsync(Cancellation);
        }

        await StorageHosting.Prepare(database.Database, Cancellation);
        var page = await database.Room().GetRequiredService<RunListQueries>().Page(new RunListQuery("", "", null, 1_000), Cancellation);
        Assert.Equal(120, page.Runs.Length);
        Assert.Equal("failed", page.Runs[0].State);
    }

    [Fact]
    public void A_token_that_is_none_of_ours_is_no_place()
    {
        Assert.Null(RunListPlace.FromToken("100"));
        Assert.Null(RunListPlace.FromToken("%%%"));
        var place = new RunListPlace(1, Began.UtcDateTime, "a/b+ü");
        Assert.Equal(place, RunListPlace.FromToken(place.ToToken()));
    }

    private static async Task Seed(ServiceProvider room, int runs)
    {
        var registry = room.GetRequiredService<RunRegistry>();
        foreach (int[] some in Enumerable.Range(0, runs).Chunk(200))
        {
            await Task.WhenAll(some.Select(i => registry.Record(
                Run($"run-{i:00000}", i % 1_000 == 999 ? "running" : i % 10 == 9 ? "failed" : "completed", i), Cancellation)));
        }
    }

    internal static RunView Run(string name, string state, int minute) => new(
        name, minute == 0 ? "oldest" : "research", state, "", Began.AddMinutes(minute), null, ImmutableArray<StageView>.Empty, "text",
        false)
    {
        Parameters = 1, Groups = minute == 0 ? ["east", "west"] : [],
    };
}
