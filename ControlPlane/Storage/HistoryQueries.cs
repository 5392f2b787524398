using System.Runtime.CompilerServices;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Runs;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>An event with its place in the run's timeline.</summary>
public sealed record NumberedEvent(long Number, RunEvent Event);

public sealed record RegisteredCheckpoint(string Run, string Stage, StageCheckpoint Checkpoint);

/// <summary>History for people. Nothing here is ever read to decide.</summary>
public sealed class HistoryQueries(OpsConnections connections, ChangeFeed feed)
{
    /// <summary>How late another silo's write may be seen by a follower here.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(2);

    private const int PageMax = 1000;

    public async Task<List<string>> RunNames(string contains, int skip, int take, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        return await context.Runs.Where(r => contains.Length == 0 || r.Name.Contains(contains))
            .OrderByDescending(r => r.SubmittedAt).ThenBy(r => r.Name).Select(r => r.Name)
            .Skip(skip).Take(Math.Clamp(take, 1, PageMax)).ToListAsync(cancellation);
    }

    /// <summary>Runs as they were last written, newest first.</summary>
    public async Task<List<RunView>> Runs(string contains, int skip, int take, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var bodies = await context.Runs.Where(r => contains.Length == 0 || r.Name.Contains(contains))
            .OrderByDescending(r => r.SubmittedAt).ThenBy(r => r.Name).Select(r => r.Body)
            .Skip(skip).Take(Math.Clamp(take, 1, PageMax)).ToListAsync(cancellation);
        return bodies.ConvertAll(LedgerJson.Read<RunView>);
    }

    public async Task<List<NumberedEvent>> EventsAfter(string run, long after, int limit, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var rows = await context.Events.Where(e => e.Run == run && e.Number > after).OrderBy(e => e.Number)
            .Take(Math.Clamp(limit, 1, PageMax)).Select(e => new { e.Number, e.Body }).ToListAsync(cancellation);
        return rows.ConvertAll(r => new NumberedEvent(r.Number, LedgerJson.Read<RunEvent>(r.Body)));
    }

    /// <summary>The events after a number, then each new one as it is written.</summary>
    public async IAsyncEnumerable<NumberedEvent> FollowEvents(string run, long after, [EnumeratorCancellation] CancellationToken cancellation)
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

    public async Task<List<RegisteredCheckpoint>> Checkpoints(string run, string? stage, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var rows = await context.Checkpoints.Where(c => c.Run == run && (stage == null || c.Stage == stage))
            .OrderBy(c => c.At).ThenBy(c => c.Step).ToListAsync(cancellation);
        return rows.ConvertAll(c => new RegisteredCheckpoint(c.Run, c.Stage, LedgerJson.Read<StageCheckpoint>(c.Body)));
    }
}
