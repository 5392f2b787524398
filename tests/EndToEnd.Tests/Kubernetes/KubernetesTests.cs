using System.Globalization;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Hosting;
using k8s;
using k8s.Models;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests.Kubernetes;

/// <summary>`dsops serve` on a real API server with 256 nodes; the pods of its gangs run as processes and really train.</summary>
public sealed class KubernetesTests
{
    private const int Nodes = 256;
    private const int Steps = 60;
    internal const string Missing = "no API server is built on this machine (bash tests/run --kubernetes builds one, once)";

    [Fact]
    public async Task A_gang_outlives_the_API_server_a_pod_and_a_node_ends_with_the_weights_of_one_undisturbed_and_leaves_nothing()
    {
        string? programs = RealApiServer.Programs();
        Assert.SkipWhen(programs is null, Missing);
        await using var server = await RealApiServer.Begin(programs!);
        await Install(server, Nodes);
        await using var kubelet = new StandInKubelet(server);
        kubelet.Begin();
        string shared = Directory.CreateTempSubdirectory("dsops-shared-").FullName;
        int agents = LoopbackPort.Free();
        await using var dsops = await Dsops.Serve("--kubeconfig", server.Kubeconfig("dsops"), "--cluster-settings",
            Settings(shared, agents), "--agents", $"127.0.0.1:{agents.ToString(CultureInfo.InvariantCulture)}");

        await dsops.Submit(TinyPipeline.Gang("calm", Steps));
        var calm = await dsops.UntilRun("calm", "completed", Eventually.Patience);
        await dsops.Submit(TinyPipeline.Gang("shaken", Steps));
        var training = await At(dsops, attempt: 1, step: 3);
        var placed = await Pods(server);
        Assert.Equal(placed.Select(p => p.Spec.NodeName).Order(), NodesOf(training));
        Assert.All(placed, p => Assert.Equal("2", p.Spec.Containers[0].Resources.Limits["nvidia.com/gpu"].ToString()));

        await server.KillApi();
        await server.CompactEtcd();
        await server.StartApi();
        training = await At(dsops, attempt: 1, step: (long)training["step"]! + 2);
        Assert.Equal(placed.Select(p => p.Metadata.Uid).Order(), (await Pods(server)).Select(p => p.Metadata.Uid).Order());

        kubelet.Kill(placed[1].Metadata.Uid);
        training = await At(dsops, attempt: 2, step: 3);
        Assert.Contains("\"exitCode\": 137",
            await File.ReadAllTextAsync(Path.Combine(dsops.DataDirectory, "pods", $"{placed[1].Metadata.Name}.json"),
                TestContext.Current.CancellationToken),
            StringComparison.Ordinal);

        placed = await Pods(server);
        string lost = placed[0].Spec.NodeName;
        await kubelet.SwitchOff(lost, placed[0].Metadata.Uid);
        training = await At(dsops, attempt: 3, step: 3);
        Assert.DoesNotContain(lost, NodesOf(training));
        await kubelet.SwitchOn(lost);
        var shaken = await dsops.UntilRun("shaken", "completed", Eventually.Patience);

        Assert.Equal(Losses(calm), Losses(shaken));
        Assert.Equal(Files(shared, "calm"), Files(shared, "shaken"));
        await Eventually.Is("nothing is left behind", Eventually.Patience, async () =>
            (await Pods(server)).Count == 0
                && (await server.Admin.CoreV1.ListNamespacedSecretAsync(RealApiServer.Namespace)).Items.Count == 0
                && (await server.Admin.CoreV1.ListNamespacedConfigMapAsync(RealApiServer.Namespace)).Items
                    .All(c => c.Metadata.Labels is null || !c.Metadata.Labels.ContainsKey("deepseekops.io/gang")),
            () => dsops.Evidence);
        Assert.Equal(0, await dsops.Stop());
        Directory.Delete(shared, recursive: true);
    }

    /// <summary>As `kubectl apply -k deploy/kubernetes` does, as far as an API server without kubelets can tell; and its nodes.</summary>
    internal static async Task Install(RealApiServer server, int nodes)
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "../../../../deploy/kubernetes");
        foreach (string file in new[] { "access.yaml", "pipelines.yaml", "control-plane.yaml" })
        {
            foreach (object item in KubernetesYaml.LoadAllFromString(await File.ReadAllTextAsync(Path.Combine(folder, file))))
            {
                await Make(server.Admin, item);
            }
        }

        await StandInKubelet.AddNodes(server.Admin, nodes);
    }

    private static Task Make(k8s.Kubernetes admin, object item) => item switch
    {
        V1Namespace space => admin.CoreV1.CreateNamespaceAsync(space),
        V1ServiceAccount account => admin.CoreV1.CreateNamespacedServiceAccountAsync(account, account.Namespace()),
        V1Role role => admin.RbacAuthorizationV1.CreateNamespacedRoleAsync(role, role.Namespace()),
        V1RoleBinding binding => admin.RbacAuthorizationV1.CreateNamespacedRoleBindingAsync(binding, binding.Namespace()),
        V1ClusterRole role => admin.RbacAuthorizationV1.CreateClusterRoleAsync(role),
        V1ClusterRoleBinding binding => admin.RbacAuthorizationV1.CreateClusterRoleBindingAsync(binding),
        V1CustomResourceDefinition definition => admin.ApiextensionsV1.CreateCustomResourceDefinitionAsync(definition),
        V1Deployment deployment => admin.AppsV1.CreateNamespacedDeploymentAsync(deployment, deployment.Namespace()),
        V1Service service => admin.CoreV1.CreateNamespacedServiceAsync(service, service.Namespace()),
        V1PersistentVolumeClaim claim => admin.CoreV1.CreateNamespacedPersistentVolumeClaimAsync(claim, claim.Namespace()),
        _ => throw new InvalidOperationException($"deploy/kubernetes has a {item.GetType().Name}, which this test does not install"),
    };

    internal static string Settings(string shared, params int[] agents) => Settings(shared, agents,
        ["dotnet", Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../Worker/release/dsops-worker.dll"))]);

    internal static string Settings(string shared, int[] agents, string[] command)
    {
        string file = Path.Combine(shared, "cluster.yaml");
        File.WriteAllText(file, $$"""
            apiVersion: deepseekops/v1
            kubernetes:
              image: dsops-worker
              controlUrl: {{string.Join(',', agents.Select(a => string.Create(CultureInfo.InvariantCulture, $"https://127.0.0.1:{a}")))}}
              command: [{{string.Join(", ", command.Select(w => $"\"{w}\""))}}]
              checkpoints: {{shared}}/checkpoints
              volumes: [{path: {{shared}}, hostPath: {{shared}}}]
            """);
        return file;
    }

    private static Task<JsonNode> At(Dsops dsops, int attempt, long step) =>
        dsops.UntilStage("shaken", "pretrain", $"is at step {step.ToString(CultureInfo.InvariantCulture)}", Eventually.Patience,
            s => (int)s["attempt"]! == attempt && (long)s["step"]! >= step && s["ranks"]!.AsArray().Count == 4
                && s["ranks"]!.AsArray().All(r => (string)r!["state"]! == "training"));

    private static async Task<IList<V1Pod>> Pods(RealApiServer server) =>
        (await server.Admin.CoreV1.ListNamespacedPodAsync(RealApiServer.Namespace)).Items;

    private static string[] NodesOf(JsonNode stage) =>
        [.. stage["ranks"]!.AsArray().Select(r => (string)r!["node"]!).Distinct().Order()];

    private static double[] Losses(JsonNode run) => [.. run["stages"]!.AsArray().Select(s => (double)s!["loss"]!)];

    /// <summary>SHA-256 of each file of tensors in the last checkpoint of each stage, as its manifest has it.</summary>
    private static string[] Files(string shared, string run) =>
    [
        .. Directory.GetDirectories(Path.Combine(shared, "checkpoints", run)).Order()
            .Select(stage => Directory.GetDirectories(stage, "step-*").Order().Last())
            .SelectMany(folder => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "manifest.json")))!["files"]!.AsArray())
            .Where(f => ((string)f!["name"]!).EndsWith(".safetensors", StringComparison.Ordinal))
            .Select(f => $"{f!["name"]} {f["sha256"]}"),
    ];
}
