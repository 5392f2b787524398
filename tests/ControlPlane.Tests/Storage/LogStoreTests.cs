using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

public sealed class LogStoreTests(PrivatePostgres postgres)
{
    private static readonly DateTimeOffset Began = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly StageId Stage = new("a", "pretrain");
    private static readonly LogQuery All = new("a", null, 0, null, 100, "");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<DatabaseKind> Databases => [DatabaseKind.Sqlite, DatabaseKind.Postgres];

    /// <summary>
    /// An agent whose batch was stored and whose reply was lost goes on to print: what it sends next begins at the same line.
    /// </summary>
    [Theory, MemberData(nameof(Databases))]
    public async Task A_batch_that_is_sent_again_with_more_lines_loses_none_of_them_and_a_shorter_one_takes_none_away(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        var logs = room.GetRequiredService<LogStore>();
        await logs.Append(Stage, 1, 3, "node-0", 0, Lines(0, 1), Cancellation);
        await logs.Append(Stage, 1, 3, "node-0", 0, Lines(0, 6), Cancellation);
        await logs.Append(Stage, 1, 3, "node-0", 0, Lines(0, 2), Cancellation);
        await logs.Append(Stage, 1, 3, "node-0", 6, Lines(6, 1), Cancellation);
        var kept = await room.GetRequiredService<LogQueries>().Tail(All, Cancellation);
        Assert.Equal(Enumerable.Range(0, 7).Select(n => ((long)n, $"line {n}")), kept.Select(l => (l.Number, l.Line.Text)));
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task Who_follows_a_gang_sees_the_last_lines_and_then_each_new_one_once_but_no_old_one(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        var logs = room.GetRequiredService<LogStore>();
        for (int rank = 0; rank < 5; rank++)
        {
            await logs.Append(Stage, 1, rank, "node-0", 0, Lines(0, 3, Began.AddMinutes(rank)), Cancellation);
        }

        await using var follower = room.GetRequiredService<LogQueries>().Follow(All with { Tail = 2 }, Cancellation)
            .GetAsyncEnumerator(Cancellation);
        Assert.Equal([(4, 1L), (4, 2L)], await Next(2));
        await logs.Append(Stage, 1, 0, "node-0", 3, Lines(3, 1), Cancellation);
        Assert.Equal([(0, 3L)], await Next(1));
        // Sent again with one more, of another rank at another place, and of an attempt that is new.
        await logs.Append(Stage, 1, 0, "node-0", 3, Lines(3, 2), Cancellation);
        await logs.Append(Stage, 1, 1, "node-0", 3, Lines(5, 1), Cancellation);
        await logs.Append(Stage, 2, 1, "node-0", 0, Lines(9, 1), Cancellation);
        Assert.Equal([(0, 4L), (1, 0L), (1, 3L)], (await Next(3)).Order());

        async Task<List<(int Rank, long Number)>> Next(int count)
        {
            var lines = new List<(int, long)>();
            while (lines.Count < count && await follower.MoveNextAsync())
            {
                lines.Add((follower.Current.Rank, follower.Current.Number));
            }

            return lines;
        }
    }

    private static ImmutableArray<LogLine> Lines(int from, int count, DateTimeOffset? at = null) =>
        [.. Enumerable.Range(from, count).Select(n => new LogLine((at ?? Began).AddSeconds(n), $"line {n}", false))];
}
