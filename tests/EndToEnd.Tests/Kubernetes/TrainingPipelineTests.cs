using System.Globalization;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Hosting;
using k8s;
using k8s.Models;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests.Kubernetes;

/// <summary>A TrainingPipeline on a real API server, with rights and definition of deploy/kubernetes; its pods really train.</summary>
public sealed class TrainingPipelineTests
{
    private const string Group = "deepseekops.io", Version = "v1", Plural = "trainingpipelines";

    [Fact]
    public async Task An_applied_pipeline_trains_says_where_it_is_refuses_a_change_and_saves_and_ends_when_it_is_deleted()
    {
        string? programs = RealApiServer.Programs();
        Assert.SkipWhen(programs is null, KubernetesTests.Missing);
        await using var server = await RealApiServer.Begin(programs!);
        await KubernetesTests.Install(server, nodes: 4);
        await using var kubelet = new StandInKubelet(server);
        kubelet.Begin();
        string shared = Directory.CreateTempSubdirectory("dsops-shared-").FullName;
        int agents = LoopbackPort.Free();
        string[] where = ["--kubeconfig", server.Kubeconfig("dsops"), "--cluster-settings", KubernetesTests.Settings(shared, agents)];
        await using var dsops = await Dsops.Serve([.. where, "--agents", $"127.0.0.1:{agents.ToString(CultureInfo.InvariantCulture)}"]);

        await Apply(server, "applied", TinyPipeline.Pretraining("applied", 2_000));
        var seen = await Until(server, "applied", "trains", dsops,
            o => (string?)o["status"]?["state"] == "running" && (long?)o["status"]?["step"] >= 3);
        Assert.Equal(("pretrain", "applied"), ((string?)seen["status"]!["stage"], (string?)seen["status"]!["run"]));
        Assert.Equal("running", (string?)(await dsops.Show("applied"))["state"]);
        await TheDoctorFindsTheClusterWell(dsops, where);

        // As the merge patch of `kubectl apply` with another seed.
        await server.Admin.CustomObjects.PatchNamespacedCustomObjectAsync<JsonObject>(
            new V1Patch("""{"spec": {"seed": 9}}""", V1Patch.PatchType.MergePatch), Group, Version, RealApiServer.Namespace, Plural,
            "applied", cancellationToken: TestContext.Current.CancellationToken);
        seen = await Until(server, "applied", "has its change refused", dsops,
            o => (string?)o["status"]!["conditions"]!.AsArray().Single(c => (string?)c!["type"] == "Accepted")!["reason"] == "SpecChanged");
        Assert.Equal("running", (string?)seen["status"]!["state"]);

        await server.Admin.CustomObjects.DeleteNamespacedCustomObjectAsync(Group, Version, RealApiServer.Namespace, Plural, "applied",
            cancellationToken: TestContext.Current.CancellationToken);
        await Until(server, "applied", "is gone", dsops, o => o.Count == 0);
        var run = await dsops.Show("applied");
        Assert.Equal("cancelled", (string?)run["state"]);
        Assert.Contains("TrainingPipeline dsops/applied was deleted", (string?)run["reason"], StringComparison.Ordinal);
        Assert.NotEmpty(Directory.GetDirectories(Path.Combine(shared, "checkpoints", "applied", "pretrain"), "step-*"));
        Assert.Equal(0, await dsops.Stop());
        Directory.Delete(shared, recursive: true);
    }

    /// <summary>Beside the control plane, with the rights that it has and no others.</summary>
    private static async Task TheDoctorFindsTheClusterWell(Dsops dsops, string[] where)
    {
        var (_, output, error) = await dsops.Verb(["doctor", "--json", .. where]);
        var checks = JsonNode.Parse(output)!["checks"]!.AsArray();
        string[] cluster = [.. checks.Select(c => $"{c!["check"]} {c["level"]}: {c["found"]}")
            .Where(line => line.StartsWith("cluster.", StringComparison.Ordinal))];
        Assert.True(cluster.Length >= 6, output + error);
        // The release of a server that was built from sources is none.
        Assert.All(cluster.Where(line => !line.StartsWith("cluster.version", StringComparison.Ordinal)),
            line => Assert.Contains(" ok: ", line, StringComparison.Ordinal));
        Assert.Contains(cluster, line => line.Contains("all 22 rights", StringComparison.Ordinal));
    }

    private static async Task Apply(RealApiServer server, string name, string pipeline)
    {
        // YAML to JSON, as kubectl does before anything else.
        string json = KubernetesJson.Serialize(KubernetesYaml.Deserialize<object>(pipeline));
        var item = new JsonObject
        {
            ["apiVersion"] = $"{Group}/{Version}", ["kind"] = "TrainingPipeline", ["metadata"] = new JsonObject { ["name"] = name },
            ["spec"] = JsonNode.Parse(json),
        };
        await server.Admin.CustomObjects.CreateNamespacedCustomObjectAsync<JsonObject>(
            item, Group, Version, RealApiServer.Namespace, Plural);
    }

    /// <summary>The object as soon as it is so; without members once it is gone.</summary>
    private static Task<JsonObject> Until(RealApiServer server, string name, string what, Dsops dsops, Func<JsonObject, bool> holds) =>
        Eventually.Get($"{name} {what}", Eventually.Patience, async () =>
        {
            var list = await server.Admin.CustomObjects.ListNamespacedCustomObjectAsync<JsonObject>(
                Group, Version, RealApiServer.Namespace, Plural);
            var item = list["items"]!.AsArray().OfType<JsonObject>().SingleOrDefault(i => (string?)i["metadata"]!["name"] == name) ?? [];
            return holds(item) ? item : null;
        }, () => dsops.Evidence);
}
