using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Runs;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>Costs a database of each kind, under a second of CPU.</summary>
public sealed class RecentEventsTests(PrivatePostgres postgres)
{
    private static readonly DateTimeOffset Began = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<DatabaseKind> Databases => [DatabaseKind.Sqlite, DatabaseKind.Postgres];

    [Theory, MemberData(nameof(Databases))]
    public async Task Pages_of_all_runs_hold_each_event_once_newest_first_although_many_happened_at_one_moment(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        var writer = room.GetRequiredService<EventWriter>();
        foreach (string run in (string[])["a", "b"])
        {
            await writer.Append([.. Enumerable.Range(0, 60).Select(i => Of(run, i / 20, $"event {i}"))], Cancellation);
            await room.GetRequiredService<RunRegistry>().Record(RunOf(run, team: run == "a" ? "Alpha" : "Beta"), Cancellation);
        }

        var history = room.GetRequiredService<HistoryQueries>();
        var pages = new List<NumberedEvent>();
        EventPlace? place = null;
        do
        {
            var page = await history.Recent(null, place, 25, "", Cancellation);
            pages.AddRange(page);
            place = page.Count < 25 ? null : EventPlace.FromToken(EventPlace.Of(page[^1]).ToToken());
        }
        while (place is not null);
        Assert.Equal(120, pages.Select(e => (e.Event.Run, e.Event.Text)).Distinct().Count());
        Assert.Equal(120, pages.Count);
        Assert.Equal(pages.Select(e => e.Event.At).OrderDescending(), pages.Select(e => e.Event.At));

        Assert.Equal(40, (await history.Recent(Began.AddMinutes(2), null, 1000, "", Cancellation)).Count);
        var ofTeam = await history.Recent(null, null, 1000, "alpha", Cancellation);
        Assert.Equal(("a", 60), (ofTeam.Select(e => e.Event.Run).Distinct().Single(), ofTeam.Count));
        Assert.Empty(await history.Recent(null, null, 1000, "gamma", Cancellation));
    }

    [Theory]
    [InlineData("")]
    [InlineData("bm9uc2Vuc2U")]
    [InlineData("%%%")]
    [InlineData("OTk5OTk5OTk5OTk5OTk5OTk5OTkvMS9h")]
    public void A_place_that_is_none_of_ours_is_none(string token) => Assert.Null(EventPlace.FromToken(token));

    private static RunEvent Of(string run, int minute, string text) =>
        new(Began.AddMinutes(minute), run, "pretrain", 1, "started", EventLevel.Info, text);

    private static RunView RunOf(string name, string team) => RunListTests.Run(name, "running", 1) with { Team = team };
}
