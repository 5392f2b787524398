using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api.Calls;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>
/// Pages of the list of runs, for all who look at once. What has ended is as it was written down; what has not, its grain knows better.
/// Fifty open pages ask the database and the grains as often as one does.
/// </summary>
internal sealed class RunLists(RunListQueries queries, IGrainFactory grains, ChangeFeed feed, TimeProvider clock)
{
    /// <summary>What this process wrote is seen at once; what another silo wrote, after so long.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(5);

    /// <summary>A grain tells its watchers twice a second at most; a list is looked at once a second.</summary>
    private static readonly TimeSpan LiveFor = TimeSpan.FromMilliseconds(900);

    private readonly Shared<RunListQuery, RunListPage> pages = new(clock, LookAgain);
    private readonly Shared<string, RunView?> live = new(clock, LiveFor);

    public Task<List<string>> Names(int take, CancellationToken cancellation) => queries.Names(take, cancellation);

    public async Task<ListRunsReply> Read(RunListQuery query, CancellationToken cancellation)
    {
        // Who asks once, asks right after a change of his own: nothing remembered will do.
        var page = await queries.Page(query, cancellation);
        return await ToReply(page, name => grains.GetGrain<IRunGrain>(name).Summary(), cancellation);
    }

    /// <summary>
    /// The page now, then whenever it is another one; only the changed runs of it where <paramref name="changesOnly"/> allows.
    /// </summary>
    public async IAsyncEnumerable<ListRunsReply> Follow(
        RunListQuery query, bool changesOnly, TimeSpan every, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(every, clock);
        ListRunsReply? sent = null;
        long sentAt = 0;
        do
        {
            var page = await pages.Get(query, feed.RunsRecorded, key => queries.Page(key, CancellationToken.None)).WaitAsync(cancellation);
            var now = await ToReply(page, name => live.Get(name, 0, key => grains.GetGrain<IRunGrain>(key).Summary()), cancellation);
            // No changes are a word too: a page calls what it has not heard of for a while old.
            if (!now.Equals(sent) || (changesOnly && clock.GetElapsedTime(sentAt) >= CallStreams.SpeakEvery))
            {
                yield return changesOnly && sent is not null ? Changes(sent, now) ?? now : now;
                (sent, sentAt) = (now, clock.GetTimestamp());
            }
        }
        while (await timer.WaitForNextTickAsync(cancellation));
    }

    /// <summary>Null: runs came, went or moved, and the page is told anew.</summary>
    internal static ListRunsReply? Changes(ListRunsReply before, ListRunsReply now)
    {
        if (!before.Runs.Select(r => r.Name).SequenceEqual(now.Runs.Select(r => r.Name)))
        {
            return null;
        }

        var changes = new ListRunsReply
        {
            Changes = true, NextPageToken = now.NextPageToken, Total = now.Total, Before = now.Before, All = now.All, Hint = now.Hint,
            States = { now.States },
        };
        changes.Runs.AddRange(now.Runs.Where((run, i) => !run.Equals(before.Runs[i])));
        return changes;
    }

    private async Task<ListRunsReply> ToReply(RunListPage page, Func<string, Task<RunView?>> now, CancellationToken cancellation)
    {
        // Runs that ended before parameters were written down: only their grains know them.
        var runs = await Task.WhenAll(page.Runs.Select(
            async run => run is { Ended: true, Parameters: > 0 } ? run : await now(run.Name).WaitAsync(cancellation) ?? run));
        return new ListRunsReply
        {
            Runs = { runs.Select(run => run.ToSummary(clock.GetUtcNow())) }, NextPageToken = page.Next?.ToToken() ?? "",
            States = { page.States },
            Total = page.Total, Before = page.Before, All = page.All, Hint = page.Hint,
        };
    }
}

/// <summary>One answer for all who ask the same within a while. What failed is asked again by the next.</summary>
internal sealed class Shared<TKey, TAnswer>(TimeProvider clock, TimeSpan fresh)
    where TKey : notnull
{
    /// <summary>Beyond so many, those that are no longer fresh are let go.</summary>
    private const int Kept = 64;

    private readonly ConcurrentDictionary<TKey, (long Stamp, long At, Task<TAnswer> Answer)> answers = new();

    /// <param name="stamp">An answer that was asked for under another one is old.</param>
    public Task<TAnswer> Get(TKey key, long stamp, Func<TKey, Task<TAnswer>> ask)
    {
        if (answers.TryGetValue(key, out var known) && known.Stamp == stamp && !known.Answer.IsFaulted && !known.Answer.IsCanceled
            && clock.GetElapsedTime(known.At) < fresh)
        {
            return known.Answer;
        }

        if (answers.Count >= Kept)
        {
            foreach (var (old, _) in answers.Where(a => clock.GetElapsedTime(a.Value.At) >= fresh))
            {
                answers.TryRemove(old, out _);
            }
        }

        var asked = ask(key);
        answers[key] = (stamp, clock.GetTimestamp(), asked);
        return asked;
    }
}
