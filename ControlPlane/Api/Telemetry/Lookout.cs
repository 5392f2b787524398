using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Data.Common;
using DeepSeekOps.ControlPlane.Api.Notices;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.ControlPlane.Api.Telemetry;

/// <summary>
/// Asks for what a scrape tells. Counts come from the database, whatever has ended; numbers of runs that go on from the memory of their
/// grains, which are awake as long as they go on: no scrape wakes one that has ended.
/// </summary>
internal sealed class Lookout(
    RunListQueries runs, IncidentStore incidents, StoreWatch store, StrayAgents strays, Notifier notifier, Readiness readiness,
    IGrainFactory grains, ITrainingCluster cluster, OpsDatabase database, TimeProvider clock)
{
    /// <summary>A Prometheus waits ten seconds by default; what has not answered after half of them is told as not answering.</summary>
    private static readonly TimeSpan AnswersWithin = TimeSpan.FromSeconds(5);

    /// <summary>Asked at a time, so that thousands that wait do not stand before the beats of those that train.</summary>
    private const int AtOnce = 32;

    /// <summary>Runs that went on when the database last answered: while it does not, they are asked all the same.</summary>
    private ImmutableArray<string> known = [];

    public async Task<Seen> Look()
    {
        var parts = new ConcurrentQueue<PartSeen>();
        var states = Ask("runs", parts, Listed);
        var open = Ask("incidents", parts, incidents.Open);
        var nodes = Ask("cluster", parts, _ => grains.GetGrain<IClusterGrain>(IClusterGrain.Key).Describe());
        await states;
        var measured = await Ask("stages", parts, Measured);
        return new Seen(clock.GetUtcNow())
        {
            Version = ProgramVersion.Text, Database = database is OpsDatabase.Sqlite ? "sqlite" : "postgresql", Cluster = cluster.Kind,
            Store = store.Now, Ready = readiness.Ready, Strays = strays.Seen.Length, Untold = notifier.Troubles,
            RunStates = await states, Runs = measured is { } found ? [.. found] : [], Incidents = await open, Nodes = await nodes,
            Parts = [.. parts.OrderBy(p => p.Name, StringComparer.Ordinal)],
        };
    }

    private async Task<T?> Ask<T>(string name, ConcurrentQueue<PartSeen> parts, Func<CancellationToken, Task<T>> ask)
        where T : class
    {
        long began = clock.GetTimestamp();
        using var limit = new CancellationTokenSource(AnswersWithin, clock);
        T? answer = null;
        try
        {
            answer = await ask(limit.Token).WaitAsync(limit.Token);
        }
        catch (Exception e) when (e is DbException or IOException or TimeoutException or InvalidOperationException
            or OperationCanceledException or HttpRequestException or Orleans.Runtime.OrleansException)
        {
            // Told as not answering: who scrapes hears of it, and of all else.
        }

        parts.Enqueue(new PartSeen(name, answer is not null, clock.GetElapsedTime(began)));
        return answer;
    }

    private async Task<ImmutableSortedDictionary<string, int>> Listed(CancellationToken cancellation)
    {
        var states = await runs.States(cancellation);
        known = await runs.Unfinished(cancellation);
        return states;
    }

    private async Task<RunMeasures[]> Measured(CancellationToken cancellation)
    {
        var found = new ConcurrentQueue<RunMeasures>();
        await Parallel.ForEachAsync(known, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellation },
            async (run, token) =>
            {
                if (await grains.GetGrain<IRunGrain>(run).Measures().WaitAsync(token) is { } measures)
                {
                    found.Enqueue(measures);
                }
            });
        return [.. found.OrderBy(r => r.Name, StringComparer.Ordinal)];
    }
}
