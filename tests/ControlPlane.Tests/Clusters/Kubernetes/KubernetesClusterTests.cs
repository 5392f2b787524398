using System.Collections.Immutable;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Clusters.Kubernetes;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Pods;
using k8s;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

/// <summary>Gangs as pods of an API server that behaves as real ones were measured to.</summary>
public sealed partial class KubernetesClusterTests : IAsyncLifetime
{
    private static readonly GangId Gang = new(new StageId("run", "pretrain"), 1);

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-k8s-").FullName;
    private readonly List<KubernetesCluster> clusters = [];
    private FakeApiServer server = null!;
    private KubernetesCluster cluster = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        server = await FakeApiServer.Begin();
        cluster = Cluster("dsops");
        foreach (string node in new[] { "a", "b", "c" })
        {
            server.Put("nodes", Node(node));
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var each in clusters)
        {
            await each.DisposeAsync();
        }

        await server.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_gang_becomes_an_owner_a_secret_and_one_pod_on_each_of_its_nodes()
    {
        await cluster.CreatePods(Grant("a", "b"), Cancellation);
        Assert.Equal(["a", "b"], server.Keys("pods").Select(k => (string)server.Get(k)!["spec"]!["nodeName"]!));
        var pod = server.Get(server.Keys("pods")[0])!;
        var owner = server.Get(Assert.Single(server.Keys("configmaps")))!;
        var secret = server.Get(Assert.Single(server.Keys("secrets")))!;
        Assert.All(new[] { pod, secret }, o => Assert.Equal(
            (string)owner["metadata"]!["uid"]!, (string)o["metadata"]!["ownerReferences"]![0]!["uid"]!));
        var container = pod["spec"]!["containers"]![0]!;
        Assert.Equal("8", (string)container["resources"]!["limits"]!["nvidia.com/gpu"]!);
        Assert.Equal("1", (string)container["resources"]!["limits"]!["rdma/hca"]!);
        Assert.Equal((string)pod["metadata"]!["name"]!, (string)container["env"]![1]!["valueFrom"]!["secretKeyRef"]!["key"]!);
        Assert.Equal(("DSOPS_CONTROL_PIN", "sha256//pin"),
            ((string)container["env"]![2]!["name"]!, (string)container["env"]![2]!["value"]!));
        Assert.Equal("token of a", (string)secret["stringData"]![(string)pod["metadata"]!["name"]!]!);
        Assert.Equal(30, (int)pod["spec"]!["terminationGracePeriodSeconds"]!);
        Assert.False((bool)pod["spec"]!["automountServiceAccountToken"]!);
        Assert.Contains("--control", container["args"]!.AsArray().Select(a => (string)a!));

        await cluster.CreatePods(Grant("a", "b"), Cancellation);
        await cluster.CreatePods(Grant("a", "b", "c"), Cancellation);
        Assert.Equal((3, 1, 1), (server.Keys("pods").Length, server.Keys("configmaps").Length, server.Keys("secrets").Length));
    }

    [Fact]
    public async Task A_start_that_was_cut_off_is_finished_by_another_control_plane_and_nothing_is_made_twice()
    {
        server.Refuse("POST /api/v1/namespaces/dsops/pods", 99, 403, "pods \"x\" is forbidden: exceeded quota: gpus");
        var refused = await Assert.ThrowsAsync<ClusterCallException>(() => cluster.CreatePods(Grant("a", "b"), Cancellation));
        Assert.Contains("exceeded quota: gpus (403 Forbidden)", refused.Message, StringComparison.Ordinal);
        server.AllowAll();
        var other = Cluster("dsops");
        await other.CreatePods(Grant("a", "b"), Cancellation);
        Assert.Equal((2, 1, 1), (server.Keys("pods").Length, server.Keys("configmaps").Length, server.Keys("secrets").Length));
    }

    [Theory]
    [InlineData(429, 3)]
    [InlineData(503, 2)]
    public async Task What_is_busy_is_asked_again(int status, int times)
    {
        server.Refuse("POST /api/v1/namespaces/dsops/secrets", times, status, "busy", ("Retry-After", "0"));
        await cluster.CreatePods(Grant("a"), Cancellation);
        Assert.Equal(times + 1, server.Calls.Count(c => c == "POST /api/v1/namespaces/dsops/secrets"));
    }

    [Theory]
    [InlineData(422, "Pod is invalid: spec.nodeName")]
    [InlineData(400, "admission webhook \"policy.example\" denied the request: no GPUs on Fridays")]
    [InlineData(403, "User \"dsops\" cannot create resource \"pods\" in the namespace \"dsops\"")]
    public async Task What_is_refused_for_a_reason_is_told_in_the_servers_words_and_not_asked_again(int status, string message)
    {
        server.Refuse("POST /api/v1/namespaces/dsops/pods", 1, status, message);
        var refused = await Assert.ThrowsAsync<ClusterCallException>(() => cluster.CreatePods(Grant("a"), Cancellation));
        Assert.Contains(message, refused.Message, StringComparison.Ordinal);
        Assert.Contains("pod ds-run-pretrain-1-a-", refused.Message, StringComparison.Ordinal);
        Assert.Single(server.Calls, c => c == "POST /api/v1/namespaces/dsops/pods");
    }

    [Fact]
    public async Task A_watch_that_ends_goes_on_where_it_was_and_one_that_is_too_old_lists_anew()
    {
        await NodesAre("a", "b", "c");
        int lists = Lists();
        for (int i = 0; i < 3; i++)
        {
            server.EndWatches();
            server.Put("nodes", Node($"d{i}"));
        }

        await NodesAre("a", "b", "c", "d0", "d1", "d2");
        Assert.Equal(lists, Lists());

        server.EndWatches();
        server.Remove("nodes//d0");
        server.Compact();
        await NodesAre("a", "b", "c", "d1", "d2");
        Assert.True(Lists() > lists);

        int Lists() => server.Calls.Count(c => c == "GET /api/v1/nodes");
    }

    [Fact]
    public async Task An_API_server_that_is_away_is_unknown_with_a_reason_and_comes_back()
    {
        await NodesAre("a", "b", "c");
        await server.Stop();
        string why = "";
        await Until("the cluster is unknown", async () =>
        {
            try
            {
                await cluster.Observe(Cancellation);
                return false;
            }
            catch (IOException e)
            {
                why = e.Message;
                return true;
            }
        });
        Assert.StartsWith($"the API server at {server.Host} has not answered for", why, StringComparison.Ordinal);
        await server.Start();
        // Nothing has happened there: that it answers is news enough.
        await NodesAre("a", "b", "c");
        server.Put("nodes", Node("d"));
        await NodesAre("a", "b", "c", "d");
    }

    [Fact]
    public async Task A_right_that_is_missing_is_named_at_once_and_what_is_granted_later_is_used()
    {
        server.Refuse("GET /api/v1/pods", int.MaxValue, 403, "pods is forbidden: User \"dsops\" cannot list resource \"pods\"");
        string why = "";
        await Until("it is refused in words", async () =>
        {
            try
            {
                await cluster.Observe(Cancellation);
                return false;
            }
            catch (IOException e)
            {
                why = e.Message;
                return true;
            }
        });
        Assert.Equal($"the API server at {server.Host} does not list what it has: pods is forbidden: User \"dsops\" cannot list "
            + "resource \"pods\" (403 Forbidden)", why);
        server.AllowAll();
        await NodesAre("a", "b", "c");
    }

    [Fact]
    public async Task Evidence_is_kept_before_a_pod_is_deleted_and_nothing_is_left_behind()
    {
        await cluster.CreatePods(Grant("a", "b"), Cancellation);
        string first = server.Keys("pods")[0], name = first.Split('/')[2];
        server.Logs[name] = "CUDA error: uncorrectable ECC error\n";
        server.Change(first, pod => pod["status"] = Ended(137, "OOMKilled"));
        await Until("the pod is seen to have ended", async () =>
            (await cluster.Observe(Cancellation)).Pods.Any(p => p is { Phase: PodPhase.Exited, ExitCode: 137 }));

        Assert.Equal([(name, 137)], (await cluster.EvidenceOf(Gang, Cancellation)).Select(e => (e.Pod, e.ExitCode ?? 0)));
        Assert.False(await cluster.DeletePods(Gang, [], "a rank failed", Cancellation));
        // The one that had ended is gone at once; the other waits for its kubelet.
        string second = Assert.Single(server.Keys("pods"));
        Assert.NotNull(server.Get(second)!["metadata"]!["deletionTimestamp"]);
        server.Remove(second);
        Assert.True(await cluster.DeletePods(Gang, [], "a rank failed", Cancellation));

        Assert.Empty(server.Keys("pods").Concat(server.Keys("secrets")).Concat(server.Keys("configmaps")));
        string kept = await File.ReadAllTextAsync(Path.Combine(folder, "pods", $"{name}.json"), Cancellation);
        Assert.Contains("uncorrectable ECC error", kept, StringComparison.Ordinal);
        Assert.Contains("\"exitCode\": 137", kept, StringComparison.Ordinal);
        Assert.Contains("it had ended; OOMKilled", kept, StringComparison.Ordinal);
        await File.WriteAllTextAsync(Path.Combine(folder, "pods", $"{name}.bak.json"), "{ half", Cancellation);
        Assert.Equal(2, (await cluster.EvidenceOf(Gang, Cancellation)).Length);
    }

    [Fact]
    public async Task A_gang_leaves_a_node_that_does_not_report_and_its_pod_is_taken_away_only_when_that_is_certain()
    {
        await cluster.CreatePods(Grant("a"), Cancellation);
        string pod = Assert.Single(server.Keys("pods"));
        server.Change(pod, p => p["status"] = Running());
        await Until("it runs", async () => (await cluster.Observe(Cancellation)).Pods.Any(p => p.Phase == PodPhase.Running));
        server.Change("nodes//a", n => n["status"]!["conditions"]![0]!["status"] = "Unknown");
        await Until("it is unknown", async () => (await cluster.Observe(Cancellation)).Pods.Any(p => p.Phase == PodPhase.Unknown));

        await Until("the gang may go on", () => cluster.DeletePods(Gang, [], "node lost", Cancellation));
        Assert.NotNull(server.Get(pod)!["metadata"]!["deletionTimestamp"]);
        var seen = await cluster.Observe(Cancellation);
        Assert.Equal((NodeHealth.NotReady, 0), (seen.Nodes[0].Health, seen.Nodes[0].Slots));

        // Back, and the same boot: its kubelet ends the pod, and until then its GPUs are not given away.
        server.Change("nodes//a", n => n["status"]!["conditions"]![0]!["status"] = "True");
        await Until("it is ready", async () => (await cluster.Observe(Cancellation)).Nodes[0] is { Health: NodeHealth.Ready, Slots: 0 });
        Assert.Empty(await cluster.FenceAllBut(_ => Task.FromResult<ImmutableHashSet<GangId>>([]), Cancellation));
        Assert.Single(server.Keys("pods"));
        // Another boot: nothing that ran before runs.
        server.Change("nodes//a", n => n["status"]!["nodeInfo"]!["bootID"] = "another");
        await Until("it is gone", async () =>
        {
            await cluster.FenceAllBut(_ => Task.FromResult<ImmutableHashSet<GangId>>([]), Cancellation);
            return server.Keys("pods").Length + server.Keys("secrets").Length + server.Keys("configmaps").Length == 0;
        });
        await Until("all GPUs are free", async () => (await cluster.Observe(Cancellation)).Nodes[0].Slots == 8);
    }

    [Fact]
    public async Task GPUs_of_other_tenants_are_not_ours_to_give_and_their_holders_are_named()
    {
        server.Put("pods", Foreign("serving", "llm-0", "a", 2));
        server.Put("pods", Foreign("team-b", "notebook", "a", 1));
        await Until("they are seen", async () => (await cluster.Observe(Cancellation)).Nodes[0].Slots == 5);
        var node = (await cluster.Observe(Cancellation)).Nodes[0];
        Assert.Equal("3 of 8 GPUs are held by serving/llm-0, team-b/notebook", node.Reason);
        server.Change("pods/team-b/notebook", p => p["status"] = Ended(0, "Completed"));
        await Until("one has ended", async () => (await cluster.Observe(Cancellation)).Nodes[0].Slots == 6);
    }

    [Fact]
    public async Task Leftovers_end_and_pods_of_another_control_plane_are_left_alone()
    {
        var neighbour = Cluster("neighbour");
        await neighbour.CreatePods(Grant("b") with { Gang = 7 }, Cancellation);
        await cluster.CreatePods(Grant("a"), Cancellation);
        await Until("ours is asked to end", async () =>
        {
            await cluster.FenceAllBut(_ => Task.FromResult<ImmutableHashSet<GangId>>([]), Cancellation);
            return server.Keys("pods").Count(k => server.Get(k)!["metadata"]!["deletionTimestamp"] is not null) == 1;
        });
        server.Remove(server.Keys("pods").Single(k => server.Get(k)!["metadata"]!["deletionTimestamp"] is not null));
        await Until("ours is gone", async () =>
        {
            await cluster.FenceAllBut(_ => Task.FromResult<ImmutableHashSet<GangId>>([]), Cancellation);
            return server.Keys("secrets").Length == 1;
        });
        Assert.Equal("b", (string)server.Get(Assert.Single(server.Keys("pods")))!["spec"]!["nodeName"]!);
        // To each of them the other's pods are a tenant's.
        await Until("b is held", async () => (await cluster.Observe(Cancellation)).Nodes[1].Slots == 0);
    }

    [Fact]
    public async Task A_cordon_is_shown_in_Kubernetes_and_taken_back_and_that_of_somebody_else_is_left()
    {
        server.Change("nodes//b", n => n["spec"]!["unschedulable"] = true);
        await NodesAre("a", "b", "c");
        var cordons = ImmutableDictionary<NodeId, string>.Empty.Add(new NodeId("a"), "fans").Add(new NodeId("b"), "disks");
        await cluster.ShowCordons(cordons, Cancellation);
        var node = server.Get("nodes//a")!;
        Assert.True((bool)node["spec"]!["unschedulable"]!);
        Assert.Equal(("dsops/dsops", "fans"), ((string?)node["metadata"]!["annotations"]![NodeMarks.CordonedBy],
            (string?)node["metadata"]!["annotations"]![NodeMarks.CordonReason]));
        await Until("it is lifted", async () =>
        {
            await cluster.ShowCordons([], Cancellation);
            return server.Get("nodes//a")!["spec"]!["unschedulable"]?.GetValue<bool>() is not true;
        });
        Assert.True((bool)server.Get("nodes//b")!["spec"]!["unschedulable"]!);
        Assert.Null(server.Get("nodes//b")!["metadata"]!["annotations"]);

        server.Refuse("PATCH /api/v1/nodes", 99, 403, "nodes \"c\" is forbidden");
        await cluster.ShowCordons(ImmutableDictionary<NodeId, string>.Empty.Add(new NodeId("c"), "fans"), Cancellation);
        Assert.Null(server.Get("nodes//c")!["spec"]!["unschedulable"]);
    }

    [Fact]
    public async Task In_peace_a_cluster_costs_its_API_server_three_watches()
    {
        await cluster.CreatePods(Grant("a", "b"), Cancellation);
        await Until("the pods are seen", async () => (await cluster.Observe(Cancellation)).Pods.Length == 2);
        int before = server.Calls.Count;
        for (int i = 0; i < 600; i++)
        {
            await cluster.Observe(Cancellation);
        }

        Assert.Equal(before, server.Calls.Count);
        Assert.Equal(3, server.Calls.Count(c => c.EndsWith(" watch", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_cluster_that_was_used_is_put_away_as_often_as_the_container_likes()
    {
        await NodesAre("a", "b", "c");
        await cluster.DisposeAsync();
        await cluster.DisposeAsync();
    }

    private KubernetesCluster Cluster(string instance)
    {
        var made = new KubernetesCluster(Options.Create(new KubernetesClusterOptions
        {
            Pods = new PodSettings
            {
                Instance = instance, Image = "worker", ControlUrl = "https://dsops:5082", Checkpoints = Path.Combine(folder, "checkpoints"),
                Resources = ImmutableDictionary<string, string>.Empty.Add("rdma/hca", "1"),
            },
            DataDirectory = folder,
            Connection = () => new KubernetesClientConfiguration { Host = server.Host },
            TokenOf = (_, node) => $"token of {node}", Pin = "sha256//pin",
            StaleAfter = TimeSpan.FromMilliseconds(300),
        }), TimeProvider.System, NullLogger<KubernetesCluster>.Instance);
        clusters.Add(made);
        return made;
    }

    private Task NodesAre(params string[] names) => Until($"nodes are {string.Join(", ", names)}", async () =>
    {
        try
        {
            return (await cluster.Observe(Cancellation)).Nodes.Select(n => n.Id.Name).SequenceEqual(names);
        }
        catch (IOException)
        {
            return false;
        }
    });

    /// <summary>On a busy machine the first list may take longer than a tick waits for it; that is no answer yet.</summary>
    private static async Task<bool> Holds(Func<Task<bool>> condition)
    {
        try
        {
            return await condition();
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static async Task Until(string what, Func<Task<bool>> condition)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(TimeSpan.FromMinutes(2));
        using var beat = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!await Holds(condition))
        {
            Assert.True(!limit.IsCancellationRequested, $"not within two minutes: {what}");
            await beat.WaitForNextTickAsync(Cancellation);
        }
    }

    private static GangGrant Grant(params string[] nodes) =>
        new(Gang.Stage, Gang.Number, [.. nodes.Select(n => new NodeId(n))], 8, DateTimeOffset.UnixEpoch);

    private static JsonObject Node(string name) => JsonNode.Parse($$$$"""
        {"metadata": {"name": "{{{{name}}}}"}, "spec": {}, "status": {
          "conditions": [{"type": "Ready", "status": "True", "message": "kubelet is posting ready status"}],
          "allocatable": {"nvidia.com/gpu": "8"}, "nodeInfo": {"bootID": "boot-of-{{{{name}}}}"}}}
        """)!.AsObject();

    private static JsonObject Foreign(string space, string name, string node, int gpus) => JsonNode.Parse($$$$"""
        {"metadata": {"namespace": "{{{{space}}}}", "name": "{{{{name}}}}"}, "status": {"phase": "Running"},
          "spec": {"nodeName": "{{{{node}}}}",
          "containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "{{{{gpus}}}}"}}}]}}
        """)!.AsObject();

    private static JsonNode Running() => JsonNode.Parse("""
        {"phase": "Running", "containerStatuses": [{"name": "agent", "state": {"running": {}}}]}
        """)!;

    private static JsonNode Ended(int code, string reason) => JsonNode.Parse($$$$"""
        {"phase": "{{{{(code == 0 ? "Succeeded" : "Failed")}}}}", "containerStatuses": [{"name": "agent",
          "state": {"terminated": {"exitCode": {{{{code}}}}, "reason": "{{{{reason}}}}"}}}]}
        """)!;
}
