using System.Runtime.CompilerServices;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Runs;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>An event with its place in the run's timeline.</summary>
public sealed record NumberedEvent(long Number, RunEvent Event);

public sealed record RegisteredCheckpoint(string Run, string Stage, StageCheckpoint Checkpoint);

/// <summary>The oldest checkpoint of a page: older ones are on the next.</summary>
public sealed record CheckpointPlace(DateTime At, long Step, string Stage)
{
    public static CheckpointPlace Of(RegisteredCheckpoint checkpoint) =>
        new(checkpoint.Checkpoint.Made.At.UtcDateTime, checkpoint.Checkpoint.Made.Step, checkpoint.Stage);

    public string ToToken() => PageToken.Write($"{At.Ticks}", $"{Step}", Stage);

    /// <summary>Null: it is none of ours.</summary>
    public static CheckpointPlace? FromToken(string token) => PageToken.Read(token, 3) is [var ticks, var step, var stage]
        && PageToken.Number(ticks) is { } at && at <= DateTime.MaxValue.Ticks && PageToken.Number(step) is { } made
        ? new CheckpointPlace(new DateTime(at, DateTimeKind.Utc), made, stage) : null;
}

/// <summary>The oldest event of a page of all runs: older ones are on the next.</summary>
public sealed record EventPlace(DateTime At, long Number, string Run)
{
    public static EventPlace Of(NumberedEvent item) => new(item.Event.At.UtcDateTime, item.Number, item.Event.Run);

    public string ToToken() => PageToken.Write($"{At.Ticks}", $"{Number}", Run);

    /// <summary>Null: it is none of ours.</summary>
    public static EventPlace? FromToken(string token) => PageToken.Read(token, 3) is [var ticks, var number, var run]
        && PageToken.Number(ticks) is { } at && at <= DateTime.MaxValue.Ticks && PageToken.Number(number) is { } place
        ? new EventPlace(new DateTime(at, DateTimeKind.Utc), place, run) : null;
}

/// <summary>History for people. Nothing here is ever read to decide.</summary>
public sealed class HistoryQueries(OpsConnections connections, ChangeFeed feed)
{
    /// <summary>How late another silo's write may be seen by a follower here.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(2);

    private const int PageMax = 1000;

    public async Task<List<NumberedEvent>> EventsAfter(string run, long after, int limit, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var rows = await context.Events.Where(e => e.Run == run && e.Number > after).OrderBy(e => e.Number)
            .Take(Math.Clamp(limit, 1, PageMax)).Select(e => new { e.Number, e.Body }).ToListAsync(cancellation);
        return rows.ConvertAll(r => new NumberedEvent(r.Number, LedgerJson.Read<RunEvent>(r.Body)));
    }

    /// <summary>Newest first.</summary>
    public async Task<List<RunEvent>> NewestEvents(string run, int limit, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var rows = await context.Events.Where(e => e.Run == run).OrderByDescending(e => e.Number).Take(Math.Clamp(limit, 1, PageMax))
            .Select(e => e.Body).ToListAsync(cancellation);
        return rows.ConvertAll(LedgerJson.Read<RunEvent>);
    }

    /// <summary>Of all runs, newest first.</summary>
    /// <param name="since">Null: of all times.</param>
    /// <param name="before">Null: from the newest on.</param>
    /// <param name="team">The only team whose runs may be seen; empty: all.</param>
    public async Task<List<NumberedEvent>> Recent(
        DateTimeOffset? since, EventPlace? before, int limit, string team, CancellationToken cancellation)
    {
        string ofTeam = team.ToLowerInvariant();
        await using var context = connections.Context();
        var from = (since ?? DateTimeOffset.UnixEpoch).UtcDateTime;
        var found = context.Events.Where(e => e.At >= from)
            .Where(e => ofTeam == "" || context.RunList.Any(r => r.Name == e.Run && r.Team == ofTeam));
        if (before is not null)
        {
            var (at, number, run) = before;
            found = found.Where(e => e.At < at
                || (e.At == at && (e.Number < number || (e.Number == number && string.Compare(e.Run, run) < 0))));
        }

        var rows = await found.OrderByDescending(e => e.At).ThenByDescending(e => e.Number).ThenByDescending(e => e.Run)
            .Take(Math.Clamp(limit, 1, PageMax)).Select(e => new { e.Number, e.Body }).ToListAsync(cancellation);
        return rows.ConvertAll(r => new NumberedEvent(r.Number, LedgerJson.Read<RunEvent>(r.Body)));
    }

    /// <summary>The events after a number, then each new one as it is written.</summary>
    public async IAsyncEnumerable<NumberedEvent> FollowEvents(string run, long after, [EnumeratorCancellation]
        CancellationToken cancellation)
    {
        long seen = after;
        await foreach (bool _ in feed.Follow(run, LookAgain, cancellation))
        {
            List<NumberedEvent> page;
            do
            {
                page = await EventsAfter(run, seen, PageMax, cancellation);
                foreach (var numbered in page)
                {
                    seen = numbered.Number;
                    yield return numbered;
                }
            }
            while (page.Count == PageMax);
        }
    }

    /// <summary>The newest of those before a place, in the order of their making.</summary>
    /// <param name="before">Null: of all.</param>
    public async Task<List<RegisteredCheckpoint>> CheckpointsBefore(
        string run, string? stage, CheckpointPlace? before, int take, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var ofRun = context.Checkpoints.Where(c => c.Run == run && (stage == null || c.Stage == stage));
        if (before is not null)
        {
            var (at, step, name) = before;
            ofRun = ofRun.Where(c => c.At < at || (c.At == at && (c.Step < step || (c.Step == step && string.Compare(c.Stage, name) < 0))));
        }

        var rows = await ofRun.OrderByDescending(c => c.At).ThenByDescending(c => c.Step).ThenByDescending(c => c.Stage).Take(take)
            .ToListAsync(cancellation);
        rows.Reverse();
        return rows.ConvertAll(c => new RegisteredCheckpoint(c.Run, c.Stage, LedgerJson.Read<StageCheckpoint>(c.Body)));
    }

    public async Task<List<RegisteredCheckpoint>> Checkpoints(string run, string? stage, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var rows = await context.Checkpoints.Where(c => c.Run == run && (stage == null || c.Stage == stage))
            .OrderBy(c => c.At).ThenBy(c => c.Step).ToListAsync(cancellation);
        return rows.ConvertAll(c => new RegisteredCheckpoint(c.Run, c.Stage, LedgerJson.Read<StageCheckpoint>(c.Body)));
    }
}
