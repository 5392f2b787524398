using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Placement;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// 100 gangs of 16 nodes at once, from the request through the grain, the decision and the commit to the answer, in the whole process
/// on SQLite. Slurm 22.05 on two cores starts 7.1 such gangs a second (it forks a process for each; we stop where pods would be made).
/// </summary>
internal static class GangBenchmark
{
    private const int Count = 100;
    private const int NodesEach = 16;
    private const double WantedPerSecond = 70;

    public static async Task Run()
    {
        Table.Title($"gangs: {Count} gangs of {NodesEach} nodes through grain, decision and commit (SQLite, synchronous full)");
        string folder = Directory.CreateTempSubdirectory("dsops-bench-").FullName;
        var options = new ControlPlaneOptions { DataDirectory = folder, Cluster = new SimulatedChoice { Nodes = Count * NodesEach } };
        var database = OpsDatabase.Parse(null, folder);
        await StorageHosting.Prepare(database, CancellationToken.None);
        await using var app =
            ControlPlaneApp.Build(options, new Endpoints(LoopbackPort.Reserve(), LoopbackPort.Reserve(), LoopbackPort.Free()), database,
                logging => logging.ClearProviders());
        await app.StartAsync();
        var cluster = app.Services.GetRequiredService<IGrainFactory>().GetGrain<IClusterGrain>(IClusterGrain.Key);
        await Round(cluster, 0);
        var seconds = new List<double>();
        for (int round = 1; round <= 5; round++)
        {
            seconds.Add(await Round(cluster, round));
        }

        seconds.Sort();
        Table.AtLeast("placed and committed, median of 5 rounds", Count / seconds[2], "gangs", WantedPerSecond,
            "the aim of 70/s (Slurm 22.05: 7.1/s)");
        Table.Line("slowest round", Table.Say($"{Count / seconds[^1]:#,0} gangs/s"));
        await app.StopAsync();
        await app.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    private static async Task<double> Round(IClusterGrain cluster, int round)
    {
        var requests = Enumerable.Range(0, Count).Select(i => Gangs.Of($"round-{round}-{i}", NodesEach)).ToImmutableArray();
        long begun = Stopwatch.GetTimestamp();
        var answers = await Task.WhenAll(requests.Select(r => cluster.Request(r)));
        double seconds = Stopwatch.GetElapsedTime(begun).TotalSeconds;
        if (answers.FirstOrDefault(a => a is not PlacementDecision.Placed) is { } pending)
        {
            throw new InvalidOperationException($"There is room for all, and yet: {pending.Reason}");
        }

        foreach (var request in requests)
        {
            await cluster.Release(request.Id, []);
        }

        return seconds;
    }
}
