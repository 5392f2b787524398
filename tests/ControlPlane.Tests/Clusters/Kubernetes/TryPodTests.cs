using System.Collections.Immutable;
using System.Text.Json.Nodes;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Clusters.Generation;
using DeepSeekOps.ControlPlane.Clusters.Kubernetes;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Pods;
using k8s;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

/// <summary>A checkpoint is tried by a pod of its own; its program is played by the server, line by line.</summary>
public sealed class TryPodTests : IAsyncLifetime
{
    private static readonly JsonObject Runs = new() { ["running"] = new JsonObject { ["startedAt"] = "2026-01-01T00:00:00Z" } };

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-k8s-try-").FullName;
    private FakeApiServer server = null!;
    private KubernetesCluster cluster = null!;
    private Generations generations = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        server = await FakeApiServer.Begin();
        server.Kubelet = pod => pod["status"] = Status("Running", Runs);
        server.Program = line => line.Contains("stop", StringComparison.Ordinal)
            ? ["""{"phase":"ended","reason":"stopped"}"""]
            : ["""{"phase":"loading"}""", """{"phase":"text","text":"1+1=2","tokens":3}""", """{"phase":"ended","reason":"length"}"""];
        cluster = new KubernetesCluster(Options.Create(new KubernetesClusterOptions
        {
            Pods = new PodSettings
            {
                Image = "worker", Checkpoints = "/checkpoints", Volumes = [new PodVolume("/checkpoints", "weights", "", false)],
                NodeLabels = ImmutableDictionary<string, string>.Empty.Add("pool", "train"),
            },
            DataDirectory = folder,
            Connection = () => new KubernetesClientConfiguration { Host = server.Host },
            TryStartsWithin = TimeSpan.Zero,
        }), TimeProvider.System, NullLogger<KubernetesCluster>.Instance);
        generations = new Generations(new GenerationLimits(), cluster.Generation, TimeProvider.System);
    }

    public async ValueTask DisposeAsync()
    {
        await generations.DisposeAsync();
        await cluster.DisposeAsync();
        await server.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_text_comes_from_a_pod_that_takes_no_gpu_and_stays_for_the_next()
    {
        var first = await Text();
        Assert.False(first[^1].Phase == "refused", first[^1].Reason);
        Assert.Equal(["starting", "loading", "text", "ended"], first.Select(n => n.Phase));
        Assert.Equal("1+1=2", first[2].Text);
        string key = Assert.Single(server.Keys("pods"));
        var spec = server.Get(key)!["spec"]!;
        var container = spec["containers"]![0]!;
        Assert.Equal(["generate", "--stream"], container["args"]!.AsArray().Select(a => (string)a!));
        Assert.True((bool)container["stdin"]! && (bool)container["stdinOnce"]!);
        Assert.Null(container["resources"]);
        Assert.Null(spec["nodeName"]);
        Assert.Equal("train", (string)spec["nodeSelector"]!["pool"]!);
        Assert.Equal("/checkpoints", (string)container["volumeMounts"]![0]!["mountPath"]!);

        Assert.Equal(["loading", "text", "ended"], (await Text()).Select(n => n.Phase));
        Assert.Equal(key, Assert.Single(server.Keys("pods")));
        // It belongs to no gang, so that no gang's end or start takes it for a leftover.
        Assert.Empty(await cluster.FenceAllBut(_ => Task.FromResult(ImmutableHashSet<GangId>.Empty), Cancellation));
        Assert.Null(server.Get(key)!["metadata"]!["deletionTimestamp"]);

        await generations.DisposeAsync();
        Assert.NotNull(server.Get(key)!["metadata"]!["deletionTimestamp"]);
        Assert.Null(generations.PodName);
    }

    [Fact]
    public async Task A_pod_that_ends_in_the_middle_is_told_of_with_why_and_the_next_prompt_has_a_new_one()
    {
        var (played, asked) = (server.Program!, 0);
        server.Program = line =>
        {
            if (asked++ > 0)
            {
                return played(line);
            }

            server.Change(server.Keys("pods")[0], pod => pod["status"] = Status("Failed", new JsonObject
            {
                ["terminated"] = new JsonObject { ["exitCode"] = 137, ["reason"] = "OOMKilled" },
            }));
            return null;
        };
        var last = (await Text())[^1];
        Assert.Equal("failed", last.Phase);
        Assert.Contains("was ended by signal 9 (OOMKilled", last.Reason, StringComparison.Ordinal);
        Assert.Equal("ended", (await Text())[^1].Phase);
        Assert.NotNull(generations.PodName);
    }

    [Fact]
    public async Task A_pod_that_cannot_start_is_refused_in_the_clusters_words_and_taken_away()
    {
        server.Kubelet = pod => pod["status"] = Status("Pending", new JsonObject
        {
            ["waiting"] = new JsonObject { ["reason"] = "ImagePullBackOff", ["message"] = "no such image" },
        });
        var last = (await Text())[^1];
        Assert.Equal("refused", last.Phase);
        Assert.Contains("has not started within 0 s: ImagePullBackOff: no such image", last.Reason, StringComparison.Ordinal);
        Assert.All(server.Keys("pods"), k => Assert.NotNull(server.Get(k)!["metadata"]!["deletionTimestamp"]));

        server.Refuse("POST /api/v1/namespaces/dsops/pods", 1, 403, "exceeded quota: pods");
        Assert.Contains("exceeded quota: pods", (await Text())[^1].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_an_end_of_ours_has_left_is_taken_away_by_the_next()
    {
        await Text();
        string left = Assert.Single(server.Keys("pods"));
        server.Change(left, pod => pod["status"] = Status("Succeeded", Runs));
        await using var next = new Generations(new GenerationLimits(), cluster.Generation, TimeProvider.System);
        await Text(next);
        Assert.NotNull(server.Get(left)!["metadata"]!["deletionTimestamp"]);
    }

    private Task<List<GenerationNews>> Text() => Text(generations);

    private static async Task<List<GenerationNews>> Text(Generations by) =>
        await by.Continue(new Prompt { Folder = "/checkpoints/run/stage/step-1", Text = "1+1" }, "a test", Cancellation)
            .ToListAsync(Cancellation);

    private static JsonObject Status(string phase, JsonObject state) => new()
    {
        ["phase"] = phase,
        ["containerStatuses"] = new JsonArray(new JsonObject
        {
            ["name"] = "try", ["image"] = "worker", ["imageID"] = "", ["ready"] = false, ["restartCount"] = 0,
            ["state"] = state.DeepClone(),
        }),
    };
}
