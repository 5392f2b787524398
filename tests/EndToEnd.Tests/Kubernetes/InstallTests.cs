using System.Text.RegularExpressions;
using DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;
using k8s;
using k8s.Models;
using Xunit;
using YamlDotNet.RepresentationModel;

namespace DeepSeekOps.EndToEnd.Tests.Kubernetes;

/// <summary>
/// What `kubectl apply --dry-run=server` says of each way to install and of serving manifests, on a real API server (1.20.2). Costs a
/// start of that server, some 10 s, and a second for each way.
/// </summary>
public sealed partial class InstallTests
{
    private static readonly string Deploy = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../../deploy"));

    /// <summary>
    /// What that server does not have, with the fields of each as published: policy/v1 came with Kubernetes 1.21, the others with the
    /// Prometheus operator. A name that ends in ! has to be there; a list has one more level for its items; * is any name.
    /// </summary>
    private static readonly Dictionary<string, string[]> Published = new(StringComparer.Ordinal)
    {
        ["policy/v1/PodDisruptionBudget"] =
        [
            "spec!/minAvailable", "spec/maxUnavailable", "spec/selector/matchLabels/*", "spec/unhealthyPodEvictionPolicy",
        ],
        ["monitoring.coreos.com/v1/ServiceMonitor"] =
        [
            "spec!/jobLabel", "spec/selector!/matchLabels/*", "spec/endpoints!/-/port", "spec/endpoints/-/interval",
            "spec/endpoints/-/scheme", "spec/endpoints/-/tlsConfig/insecureSkipVerify",
            "spec/endpoints/-/authorization/type", "spec/endpoints/-/authorization/credentials/name",
            "spec/endpoints/-/authorization/credentials/key!",
        ],
        ["monitoring.coreos.com/v1/PrometheusRule"] =
        [
            "spec!/groups/-/name!", "spec/groups/-/interval", "spec/groups/-/rules/-/alert", "spec/groups/-/rules/-/record",
            "spec/groups/-/rules/-/expr!", "spec/groups/-/rules/-/for", "spec/groups/-/rules/-/labels/*",
            "spec/groups/-/rules/-/annotations/*",
        ],
    };

    [Fact]
    public async Task An_API_server_accepts_every_manifest_that_it_serves_and_the_rest_has_the_published_fields()
    {
        string? programs = RealApiServer.Programs();
        Assert.SkipWhen(programs is null, KubernetesTests.Missing);
        Assert.SkipWhen(Kustomize.Missing is not null, Kustomize.Missing ?? "");
        await using var server = await RealApiServer.Begin(programs!);
        var stop = TestContext.Current.CancellationToken;
        await server.Admin.CoreV1.CreateNamespaceAsync(
            new V1Namespace { Metadata = new V1ObjectMeta { Name = RealApiServer.Namespace } }, cancellationToken: stop);
        string folder = Directory.CreateTempSubdirectory("dsops-install-").FullName;
        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string way in Directory.GetDirectories(Path.Combine(Deploy, "overlays")).Append(Path.Combine(Deploy, "kubernetes")))
        {
            texts[Path.GetFileName(way)] = Kustomize.Render(way);
        }

        // The same with the components that let people in.
        string people = Kustomize.Copy(
            Deploy, "kubernetes/kustomization.yaml", "# components: [https, oidc]", "components: [https, oidc]");
        foreach (string way in Directory.GetDirectories(Path.Combine(people, "overlays")).Append(Path.Combine(people, "kubernetes")))
        {
            texts[$"{Path.GetFileName(way)}-people"] = Kustomize.Render(way);
        }

        Directory.Delete(people, recursive: true);
        Assert.Contains("--oidc-authority", texts["production-people"], StringComparison.Ordinal);
        texts["postgres-trial"] = await File.ReadAllTextAsync(
            Path.Combine(Deploy, "parts/postgres-trial/postgres.yaml"), stop);
        foreach (string unit in await Serving(folder))
        {
            texts[Path.GetFileName(unit)] = await File.ReadAllTextAsync(unit, stop);
        }

        var unserved = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var (name, text) in texts)
        {
            string file = Path.Combine(folder, $"{name}.served.yaml");
            await File.WriteAllTextAsync(file, Served(text, unserved), stop);
            var (code, said) = Kustomize.Run("--kubeconfig", server.Kubeconfig("admin"), "apply", "--dry-run=server", "-f", file);
            Assert.True(code == 0, $"{name}: {said}");
            TestContext.Current.TestOutputHelper?.WriteLine($"{name}: {said.Split('\n').Length - 1} objects taken");
        }

        Assert.Equal(Published.Keys.Order(StringComparer.Ordinal), unserved);
        // It does refuse: a field that it does not know, and a value of another kind.
        string broken = Path.Combine(folder, "broken.yaml");
        await File.WriteAllTextAsync(broken, Served(texts["kubernetes"], unserved).Replace("containerPort: 5082", "containerPort: many",
            StringComparison.Ordinal), stop);
        Assert.NotEqual(0, Kustomize.Run("--kubeconfig", server.Kubeconfig("admin"), "apply", "--dry-run=server", "-f", broken).Code);
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>The report's units for 256 experts: 32 GPUs that prefill and 320 that decode.</summary>
    private static async Task<string[]> Serving(string folder)
    {
        string loads = Path.Combine(folder, "loads.json"), manifests = Path.Combine(folder, "serving");
        await File.WriteAllTextAsync(loads, $"[[{string.Join(',', Enumerable.Range(1, 256))}]]");
        var (code, output, error) = await Dsops.Run("plan", "--serving", loads, "--out", manifests, "--image", "registry.example/engine:1",
            "--json");
        Assert.True(code == 0, error);
        Assert.Contains("\"gpus\":32", output.Replace(" ", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Contains("\"gpus\":320", output.Replace(" ", "", StringComparison.Ordinal), StringComparison.Ordinal);
        return Directory.GetFiles(manifests, "*.yaml");
    }

    /// <summary>What the server at hand has; the rest is held against what was published.</summary>
    private static string Served(string text, SortedSet<string> unserved)
    {
        var served = new List<string>();
        foreach (string document in Separator().Split(text))
        {
            var stream = new YamlStream();
            stream.Load(new StringReader(document));
            var root = (YamlMappingNode)stream.Documents[0].RootNode;
            string kind = $"{root["apiVersion"]}/{root["kind"]}";
            if (Published.TryGetValue(kind, out string[]? fields))
            {
                unserved.Add(kind);
                Assert.Empty(Problems(root, [.. fields.Select(f => f.Split('/'))], kind, top: true));
            }
            else
            {
                served.Add(document);
            }
        }

        return string.Join("\n---\n", served);
    }

    private static IEnumerable<string> Problems(YamlNode node, string[][] fields, string where, bool top = false)
    {
        if (node is YamlSequenceNode list)
        {
            string[][] items = [.. fields.Where(f => f is ["-", ..]).Select(f => f[1..])];
            return items.Length == 0 ? [$"{where} is a list"] : list.Children.SelectMany((c, i) => Problems(c, items, $"{where}[{i}]"));
        }

        if (node is not YamlMappingNode mapping)
        {
            return fields.Any(f => f.Length > 0) ? [$"{where} is one value"] : [];
        }

        fields = [.. fields.Where(f => f.Length > 0)];
        string[] names = [.. mapping.Children.Keys.Select(k => ((YamlScalarNode)k).Value!)];
        // What all objects have.
        string[] known = top ? ["apiVersion", "kind", "metadata"] : [];
        var missing = fields.Where(f => f[0].EndsWith('!')).Select(f => f[0][..^1]).Except(names).Select(n => $"{where}.{n} is missing");
        var strange = names.Except(known).Where(n => !fields.Any(f => f[0] == "*" || f[0].TrimEnd('!') == n))
            .Select(n => $"{where}.{n} is not a field");
        return missing.Concat(strange).Concat(names.Except(known).SelectMany(n => Problems(mapping[n],
            [.. fields.Where(f => f[0] == "*" || f[0].TrimEnd('!') == n).Select(f => f[1..])], $"{where}.{n}")));
    }

    [GeneratedRegex(@"^---\n", RegexOptions.Multiline)]
    private static partial Regex Separator();
}
