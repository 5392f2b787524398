using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.ControlPlane.Clusters.Kubernetes;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Pods;
using DeepSeekOps.EndToEnd.Tests.Kubernetes;
using k8s;
using k8s.Models;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// A gang of 256 nodes on a real API server: from the decision until all pods are made, bound to their nodes and seen by our watch, beside
/// the plain creation of as many pods in the same run; and what a cluster in peace asks of its API server.
/// </summary>
internal static class KubernetesBenchmark
{
    private const int Nodes = 256;
    private const int Rounds = 5;
    private const int AtATime = 32;

    /// <summary>Times the bare creation that a gang may take: the rest is ours, a watch event of each pod and what we make of it.</summary>
    private const double Most = 1.5;

    private const double CallsPerMinute = 60;

    private static readonly TimeSpan Peace = TimeSpan.FromMinutes(1);

    public static async Task Run()
    {
        Table.Title("A gang of 256 nodes on Kubernetes (a real kube-apiserver 1.20.2 with etcd, no kubelets)");
        if (RealApiServer.Programs() is not { } programs)
        {
            Table.Line("left out", "no API server is built here", "bash tests/run --kubernetes builds one, once");
            return;
        }

        await using var server = await RealApiServer.Begin(programs);
        await server.Admin.CoreV1.CreateNamespaceAsync(
            new V1Namespace { Metadata = new V1ObjectMeta { Name = RealApiServer.Namespace } });
        await StandInKubelet.AddNodes(server.Admin, Nodes);
        string folder = Directory.CreateTempSubdirectory("dsops-bench-k8s-").FullName;
        var settings = new PodSettings { Image = "worker", ControlUrl = "http://127.0.0.1:1" };
        await using var cluster = new KubernetesCluster(Options.Create(new KubernetesClusterOptions
        {
            Pods = settings, DataDirectory = folder, TokenOf = (_, node) => node.Name,
            Connection = () => KubernetesClientConfiguration.BuildConfigFromConfigFile(server.Kubeconfig("admin")),
        }), TimeProvider.System, NullLogger<KubernetesCluster>.Instance);
        double[] bare = new double[Rounds], ours = new double[Rounds];
        for (int round = 0; round < Rounds; round++)
        {
            // In turn, so that what else the machine does meets both.
            bare[round] = await Bare(server, settings, round);
            ours[round] = await Ours(server, cluster, round + 1);
        }

        Array.Sort(bare);
        Array.Sort(ours);
        double plain = bare.Percentile(0.5), gang = ours.Percentile(0.5);
        Table.Line("256 pods made, 32 calls at a time, median of 5", Table.Say($"{plain:0} ms"));
        Table.AtMost("the gang made, bound and seen, median of 5", gang, plain * Most);
        await InPeace(server, cluster);
        Directory.Delete(folder, recursive: true);
    }

    private static async Task<double> Bare(RealApiServer server, PodSettings settings, int round)
    {
        var grant = Grant(1000 + round);
        var objects = GangObjects.Of(grant, settings, node => node.Name);
        var owner = new V1OwnerReference { ApiVersion = "v1", Kind = "ConfigMap", Name = "bare", Uid = Guid.NewGuid().ToString() };
        long began = Stopwatch.GetTimestamp();
        await Parallel.ForEachAsync(objects.Pods, new ParallelOptions { MaxDegreeOfParallelism = AtATime }, async (pod, stop) =>
            await server.Admin.CoreV1.CreateNamespacedPodAsync(
                Manifests.Pod(objects, pod, owner, settings), RealApiServer.Namespace, cancellationToken: stop));
        double took = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
        await Clear(server);
        return took;
    }

    private static async Task<double> Ours(RealApiServer server, KubernetesCluster cluster, int number)
    {
        var grant = Grant(number);
        await Until(async () => (await cluster.Observe(CancellationToken.None)).Pods.IsEmpty);
        long began = Stopwatch.GetTimestamp();
        await cluster.CreatePods(grant, CancellationToken.None);
        await Until(async () => (await cluster.Observe(CancellationToken.None)).Pods.Count(p => p.Gang == grant.Id) == Nodes);
        double took = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
        await Clear(server);
        await cluster.DeletePods(grant.Id, [], "measured", CancellationToken.None);
        return took;
    }

    /// <summary>256 pods of a gang that trains: what is asked of the server while nothing happens, by its own count.</summary>
    private static async Task InPeace(RealApiServer server, KubernetesCluster cluster)
    {
        var grant = Grant(2000);
        await cluster.CreatePods(grant, CancellationToken.None);
        double before = await Requests(server);
        long began = Stopwatch.GetTimestamp();
        using var fence = new PeriodicTimer(TimeSpan.FromSeconds(10));
        while (Stopwatch.GetElapsedTime(began) < Peace)
        {
            await cluster.FenceAllBut(_ => Task.FromResult<ImmutableHashSet<GangId>>([grant.Id]), CancellationToken.None);
            await cluster.Observe(CancellationToken.None);
            await fence.WaitForNextTickAsync();
        }

        double minutes = Stopwatch.GetElapsedTime(began).TotalMinutes;
        double calls = (await Requests(server) - before) / minutes;
        Table.Hold("calls a minute for 256 pods in peace", Table.Say($"{calls:0.#}"), calls is > 0 and <= CallsPerMinute,
            Table.Say($"at most {CallsPerMinute}"));
        await Clear(server);
    }

    /// <summary>Of calls on pods, nodes and config maps, as the server counts those that have ended.</summary>
    private static async Task<double> Requests(RealApiServer server)
    {
        string text = await server.Metrics();
        return text.Split('\n').Where(l => l.StartsWith("apiserver_request_total{", StringComparison.Ordinal)
                && new[] { "\"pods\"", "\"nodes\"", "\"configmaps\"" }.Any(r => l.Contains($"resource={r}", StringComparison.Ordinal))
                && !l.Contains("kube-apiserver", StringComparison.Ordinal))
            .Sum(l => double.Parse(l[(l.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture));
    }

    private static GangGrant Grant(int number) => new(new StageId("bench", "pretrain"), number,
        [.. Enumerable.Range(0, Nodes).Select(i => new NodeId(Table.Say($"node-{i:000}")))], 8, DateTimeOffset.UnixEpoch);

    /// <summary>As kubelets would, were there any.</summary>
    private static async Task Clear(RealApiServer server)
    {
        var pods = await server.Admin.CoreV1.ListNamespacedPodAsync(RealApiServer.Namespace);
        await Parallel.ForEachAsync(pods.Items, new ParallelOptions { MaxDegreeOfParallelism = AtATime }, async (pod, stop) =>
            await server.Admin.CoreV1.DeleteNamespacedPodAsync(
                pod.Metadata.Name, RealApiServer.Namespace, new V1DeleteOptions { GracePeriodSeconds = 0 }, cancellationToken: stop));
    }

    private static async Task Until(Func<Task<bool>> holds)
    {
        using var look = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!await holds())
        {
            await look.WaitForNextTickAsync();
        }
    }
}
