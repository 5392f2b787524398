using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.ControlPlane.Tests.Pipelines;
using DeepSeekOps.Decisions.Pods;
using k8s;
using k8s.Models;
using Xunit;
using YamlDotNet.RepresentationModel;

namespace DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

/// <summary>
/// Each way to install, as `kubectl kustomize` renders it. Costs two seconds of a core; that an API server takes them is tried in
/// EndToEnd.Tests.
/// </summary>
public sealed partial class OverlayTests
{
    public static readonly string[] Ways =
        ["kubernetes", "overlays/kind", "overlays/production", "overlays/high-availability", "overlays/deputies"];

    private static readonly ConcurrentDictionary<string, string> Rendered = new();

    public static TheoryData<string> All => [.. Ways];

    [Theory, MemberData(nameof(All))]
    public void Every_pod_keeps_to_the_restricted_profile_with_resources_and_a_pinned_image(string way)
    {
        string version = Version().Match(File.ReadAllText(Path.Combine(Examples.Root, "Directory.Build.props"))).Groups[1].Value;
        var pods = Pods(way).ToList();
        Assert.NotEmpty(pods);
        foreach (var pod in pods)
        {
            Assert.Empty(Confinement.Breaches(pod));
            Assert.All(pod.Containers, c => Assert.True(c.Resources?.Requests?.Count > 1 && c.Resources.Limits?.Count > 0, c.Name));
            Assert.All(pod.Containers, c => Assert.Matches(@":\d+(\.\d+)+\z", c.Image));
            Assert.All(pod.Containers.Where(c => c.Name == "dsops"), c => Assert.Equal($"deepseekops:{version}", c.Image));
            Assert.All(pod.Containers.SelectMany(c => c.VolumeMounts), m => Assert.True(
                pod.Volumes.Any(v => v.Name == m.Name) || m.Name == "data", $"no volume is called {m.Name}"));
        }

        Assert.EndsWith($":{version}", Settings(way).Image, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(All))]
    public async Task The_program_takes_the_arguments_of_each_way(string way)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        string[] args = [.. Container(way).Args.Select(a => a.Replace("$(POD_IP)", "10.0.0.1", StringComparison.Ordinal)
            .Replace("/settings/", "/no-such-folder/", StringComparison.Ordinal)
            .Replace("/database/", "/no-such-folder/", StringComparison.Ordinal))];
        int code = await DeepSeekOps.ControlPlane.Cli.CommandLine.Run(args, new Terminal(output, error, 100, Colors: false,
            Interactive: false), TestContext.Current.CancellationToken);
        Assert.NotEqual(ExitCode.Ok, code);
        // It got as far as reading the first file that is not there.
        Assert.Contains("/no-such-folder/", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_the_components_for_people_the_program_takes_its_arguments_and_finds_its_secrets()
    {
        var pod = Loaded(WithPeople("kubernetes")).OfType<V1Deployment>().Single().Spec.Template.Spec;
        Assert.Empty(Confinement.Breaches(pod));
        var container = pod.Containers.Single(c => c.Name == "dsops");
        Assert.All(container.VolumeMounts, m => Assert.Contains(pod.Volumes, v => v.Name == m.Name));
        Assert.Contains(container.VolumeMounts, m => m.MountPath == "/oidc" && m.ReadOnlyProperty == true);
        using var error = new StringWriter();
        int code = await DeepSeekOps.ControlPlane.Cli.CommandLine.Run([.. container.Args],
            new Terminal(TextWriter.Null, error, 100, Colors: false, Interactive: false), TestContext.Current.CancellationToken);
        Assert.NotEqual(ExitCode.Ok, code);
        // All options are right: it got as far as reading the first of its files.
        Assert.Contains("/oidc/client-secret", error.ToString(), StringComparison.Ordinal);
    }

    /// <summary>
    /// People on the network, of one control plane and of several: every name and path of one object is one that another has, and a page's
    /// calls stay at the silo that serves it.
    /// </summary>
    [Theory]
    [InlineData("kubernetes", 1)]
    [InlineData("overlays/production", 1)]
    [InlineData("overlays/high-availability", 3)]
    [InlineData("overlays/deputies", 3)]
    public void With_https_services_probes_certificate_and_the_agents_address_hang_together(string way, int replicas)
    {
        var items = Loaded(WithPeople(way));
        var (template, count) = items.OfType<V1StatefulSet>().Where(s => s.Metadata.Name == "dsops")
            .Select(s => (s.Spec.Template, s.Spec.Replicas))
            .Concat(items.OfType<V1Deployment>().Select(d => (d.Spec.Template, d.Spec.Replicas))).Single();
        Assert.Equal(replicas, count);
        Assert.Empty(Confinement.Breaches(template.Spec));
        var container = template.Spec.Containers.Single(c => c.Name == "dsops");
        string After(string option) => container.Args[container.Args.IndexOf(option) + 1];
        int PortOf(string name) => container.Ports.Single(p => p.Name == name).ContainerPort;
        foreach (var (option, name) in new[] { ("--https", "https"), ("--agents", "agents"), ("--monitoring", "monitoring") })
        {
            Assert.EndsWith($":{PortOf(name)}", After(option), StringComparison.Ordinal);
        }

        // Services lead to ports that the pods have, and the one for people keeps who comes at one of several.
        var services = items.OfType<V1Service>().ToList();
        Assert.All(services, s =>
        {
            Assert.All(s.Spec.Selector, l => Assert.Equal(l.Value, template.Metadata.Labels[l.Key]));
            Assert.All(s.Spec.Ports, p => Assert.Contains(container.Ports, of => of.Name == (string)p.TargetPort));
        });
        var people = services.Single(s => s.Metadata.Name == "dsops");
        Assert.Equal(("ClientIP", "https", 443), (people.Spec.SessionAffinity, people.Spec.Ports.Single().Name,
            people.Spec.Ports.Single().Port));
        Assert.True(Lets([.. items.OfType<V1NetworkPolicy>().Where(p => p.Metadata.Name == "people")], "https"));

        // What is looked at is listened at, by TLS; who is not ready gets neither agents nor people.
        Assert.Equal("agents", (string)container.ReadinessProbe.TcpSocket.Port);
        foreach (var probe in new[] { container.LivenessProbe, container.StartupProbe })
        {
            Assert.Equal(("/livez", "monitoring", "HTTPS"), (probe.HttpGet.Path, (string)probe.HttpGet.Port, probe.HttpGet.Scheme));
        }

        string[] ofSeveral = replicas > 1 ? ["--key-file"] : [];
        foreach (string option in ofSeveral.Concat(["--https-cert", "--https-key", "--oidc-client-secret-file"]))
        {
            var mount = container.VolumeMounts.Single(m => After(option).StartsWith(m.MountPath + "/", StringComparison.Ordinal));
            var secret = template.Spec.Volumes.Single(v => v.Name == mount.Name).Secret;
            // For the group that the volumes are given to, and nobody else.
            Assert.Equal((true, 0b100_100_000), (mount.ReadOnlyProperty, secret.DefaultMode));
            Assert.Equal(template.Spec.SecurityContext.RunAsGroup, template.Spec.SecurityContext.FsGroup);
        }

        // Agents have an address of their own, with the pin of the key that all replicas share.
        var agents = services.Single(s => s.Metadata.Name == "dsops-agents");
        var url = new Uri(Settings(items).ControlUrl);
        Assert.Equal(($"{agents.Metadata.Name}.dsops", agents.Spec.Ports.Single().Port, "https"), (url.Host, url.Port, url.Scheme));
        Assert.Equal(replicas > 1, container.Args.Contains("--key-file"));
        Assert.NotEqual(url.Host, new Uri(After("--public-url")).Host);
    }

    /// <summary>A path in this repository opens for nobody whom an alert wakes.</summary>
    [Fact]
    public async Task Alerts_lead_to_the_address_that_is_written_once()
    {
        string alerts = await File.ReadAllTextAsync(Path.Combine(Examples.Root, "docs/alerts.md"), TestContext.Current.CancellationToken);
        string[] headings = [.. Heading().Matches(alerts).Select(m => m.Groups[1].Value.ToLowerInvariant())];
        string[] links = Links(File.ReadAllText(Path.Combine(Examples.Root, "deploy/monitoring/rules.yaml")).Replace(
            "RUNBOOKS#", "https://wiki.example.com/alerts?of=dsops#", StringComparison.Ordinal));
        Assert.NotEmpty(links);
        Assert.All(links, link => Assert.Contains(new Uri(link).Fragment[1..], headings));
        string folder = Copy("monitoring/kustomization.yaml", "url=RUNBOOKS", "url=https://wiki.example.com/alerts?of=dsops");
        Assert.Equal(links, Links(Kustomize.Render(Path.Combine(folder, "overlays/high-availability"))));
        Directory.Delete(folder, recursive: true);
        Assert.DoesNotContain("name: dsops-runbooks", Render("overlays/production"), StringComparison.Ordinal);

        static string[] Links(string text) => [.. Link().Matches(text).Select(m => m.Groups[1].Value).Order(StringComparer.Ordinal)];
    }

    /// <summary>A folder that kubelets give to a group stays another's: the program makes one within it that is its own.</summary>
    [Theory, MemberData(nameof(All))]
    public void What_is_kept_lies_within_a_volume_and_settings_lie_on_claims_that_are_there(string way)
    {
        var args = Container(way).Args;
        string data = args[args.IndexOf("--data-dir") + 1];
        string mount = Container(way).VolumeMounts.Single(m => m.Name == "data").MountPath;
        Assert.StartsWith(mount + "/", data, StringComparison.Ordinal);
        var claims = Items(way).OfType<V1PersistentVolumeClaim>().Select(c => c.Metadata.Name).ToList();
        Assert.All(Settings(way).Volumes.Where(v => v.Claim.Length > 0), v => Assert.Contains(v.Claim, claims));
        Assert.All(Pods(way).SelectMany(p => p.Volumes).Where(v => v.PersistentVolumeClaim is not null),
            v => Assert.Contains(v.PersistentVolumeClaim.ClaimName, claims));
        // What the policy for pods of the namespace forbids no pod of a gang may ask for.
        bool restricted = Items(way).OfType<V1Namespace>().Single().Metadata.Labels?.Values.Contains("restricted") ?? false;
        Assert.Equal(way is not ("kubernetes" or "overlays/kind"), restricted);
        Assert.True(!restricted || Settings(way).Volumes.All(v => v.HostPath.Length == 0));
    }

    [Theory, MemberData(nameof(All))]
    public void Nobody_may_talk_to_anybody_but_along_the_paths_that_are_used(string way)
    {
        var policies = Items(way).OfType<V1NetworkPolicy>().ToList();
        Assert.Contains(policies, p => Chooses(p, new Dictionary<string, string>()) && p.Spec.PolicyTypes.Count == 2
            && p.Spec.Ingress is null && p.Spec.Egress is null);
        var ours = new Dictionary<string, string> { ["app.kubernetes.io/name"] = "dsops" };
        var gang = new Dictionary<string, string> { [GangNames.ManagedBy] = GangNames.Us };
        // Agents reach the port of agents; ranks reach each other on any; both ends have to be allowed.
        Assert.True(Lets(policies, gang, ours, "agents"));
        Assert.True(Lets(policies, gang, gang, "40000"));
        Assert.False(Lets(policies, gang, ours, "monitoring"));
        Assert.False(Lets(policies, ours, gang, "40000"));
        Assert.False(Lets(policies, new Dictionary<string, string> { ["app"] = "other" }, ours, "agents"));
        Assert.Equal(way == "overlays/high-availability", Lets(policies, ours, ours, "silos"));
        // Every named port is one that a pod has.
        var ports = Pods(way).SelectMany(p => p.Containers).SelectMany(c => c.Ports).Select(p => p.Name).ToHashSet();
        Assert.All(policies.SelectMany(p => (p.Spec.Ingress ?? []).SelectMany(r => r.Ports ?? [])
            .Concat((p.Spec.Egress ?? []).SelectMany(r => r.Ports ?? []))).Where(p => !int.TryParse((string)p.Port, out int _)),
            p => Assert.Contains((string)p.Port, ports));
    }

    [Fact]
    public void Several_silos_lie_on_machines_of_their_own_and_nodes_are_emptied_one_at_a_time()
    {
        const string way = "overlays/high-availability";
        var set = Items(way).OfType<V1StatefulSet>().Single();
        Assert.Empty(Items(way).OfType<V1Deployment>());
        Assert.True(set.Spec.Replicas > 1);
        Assert.Contains(set.Spec.Template.Spec.TopologySpreadConstraints, t => t.TopologyKey == "kubernetes.io/hostname"
            && t.WhenUnsatisfiable == "DoNotSchedule");
        var budget = Items(way).OfType<V1PodDisruptionBudget>().Single();
        Assert.Equal("1", (string)budget.Spec.MaxUnavailable);
        Assert.All(budget.Spec.Selector.MatchLabels, l => Assert.Equal(l.Value, set.Spec.Template.Metadata.Labels[l.Key]));
        // A silo of a new version waits for the last old one: one after another would never end.
        Assert.Equal("OnDelete", set.Spec.UpdateStrategy.Type);
        Assert.Contains("--silo", Container(way).Args);
        Assert.Contains("--key-file", Container(way).Args);
        Assert.Contains("--database-file", Container(way).Args);
        // Waiting deputies are not ready, and a budget would count them as lost.
        Assert.Contains("--deputy", Container("overlays/deputies").Args);
        Assert.Empty(Items("overlays/deputies").OfType<V1PodDisruptionBudget>());
    }

    [Fact]
    public void The_operators_rules_are_those_of_Prometheus()
    {
        YamlNode Read(string file) => Documents(File.ReadAllText(Path.Combine(Examples.Root, "deploy/monitoring", file)))
            .Single(d => file == "rules.yaml" || (string)d["kind"]! == "PrometheusRule");
        Assert.True(Read("rules.yaml")["groups"].Equals(Read("operator.yaml")["spec"]["groups"]), "operator.yaml has other rules");
        var monitor = Documents(Render("overlays/production")).Single(d => (string)d["kind"]! == "ServiceMonitor");
        var service = Items("overlays/production").OfType<V1Service>().Single(s => s.Metadata.Name == "dsops-monitoring");
        Assert.Contains(service.Spec.Ports, p => p.Name == (string)monitor["spec"]["endpoints"][0]["port"]!);
        Assert.Equal("dsops", service.Metadata.Labels[(string)monitor["spec"]["jobLabel"]!]);
    }

    private static PodSettings Settings(string way) => Settings(Items(way));

    private static PodSettings Settings(List<object> items)
    {
        var config = items.OfType<V1ConfigMap>().Single(c => c.Metadata.Name.StartsWith("dsops-settings", StringComparison.Ordinal));
        var parse = ClusterSettingsText.Parse(config.Data["cluster.yaml"]);
        Assert.Empty(parse.Problems);
        return parse.Settings!.Pods!;
    }

    private static IEnumerable<V1PodSpec> Pods(string way) => Items(way).OfType<V1Deployment>().Select(d => d.Spec.Template.Spec)
        .Concat(Items(way).OfType<V1StatefulSet>().Select(s => s.Spec.Template.Spec));

    private static V1Container Container(string way) => Pods(way).SelectMany(p => p.Containers).Single(c => c.Name == "dsops");

    /// <summary>What the client has types for; the operator's objects are checked as they stand.</summary>
    private static List<object> Items(string way) => Loaded(Render(way));

    private static List<object> Loaded(string text) => KubernetesYaml.LoadAllFromString(string.Join("\n---\n", text.Split("\n---\n")
        .Where(d => !d.Contains("monitoring.coreos.com", StringComparison.Ordinal))));

    /// <summary>The line that its comment offers, as whoever lets people in by their provider writes it.</summary>
    private static string WithPeople(string way) => Rendered.GetOrAdd($"{way} with people", _ =>
    {
        string folder = Copy("kubernetes/kustomization.yaml", "# components: [https, oidc]", "components: [https, oidc]");
        string text = Kustomize.Render(Path.Combine(folder, way));
        Directory.Delete(folder, recursive: true);
        return text;
    });

    private static string Copy(string file, string written, string instead)
    {
        Assert.SkipWhen(Kustomize.Missing is not null, Kustomize.Missing ?? "");
        return Kustomize.Copy(Path.Combine(Examples.Root, "deploy"), file, written, instead);
    }

    private static IEnumerable<YamlNode> Documents(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        return stream.Documents.Select(d => d.RootNode);
    }

    private static string Render(string way)
    {
        Assert.SkipWhen(Kustomize.Missing is not null, Kustomize.Missing ?? "");
        return Rendered.GetOrAdd(way, w => Kustomize.Render(Path.Combine(Examples.Root, "deploy", w)));
    }

    private static bool Chooses(V1NetworkPolicy policy, IDictionary<string, string> labels) => Matches(policy.Spec.PodSelector, labels);

    private static bool Matches(V1LabelSelector selector, IDictionary<string, string> labels) =>
        (selector.MatchLabels ?? new Dictionary<string, string>()).All(l => labels.TryGetValue(l.Key, out string? v) && v == l.Value);

    /// <summary>As Kubernetes has it: what one policy of either end allows is allowed, and both ends have to.</summary>
    private static bool Lets(
        List<V1NetworkPolicy> policies, Dictionary<string, string> from, Dictionary<string, string> to, string port)
    {
        bool Peer(IList<V1NetworkPolicyPeer>? peers, Dictionary<string, string> labels) => peers is not { Count: > 0 }
            || peers.Any(p => p.NamespaceSelector is null && p.PodSelector is not null && Matches(p.PodSelector, labels));
        bool Port(IList<V1NetworkPolicyPort>? ports) => ports is not { Count: > 0 } || ports.Any(p => (string)p.Port == port);
        bool into = policies.Where(p => Chooses(p, to)).SelectMany(p => p.Spec.Ingress ?? []).Any(r => Peer(r.FromProperty, from)
            && Port(r.Ports));
        bool outOf = policies.Where(p => Chooses(p, from)).SelectMany(p => p.Spec.Egress ?? []).Any(r => Peer(r.To, to) && Port(r.Ports));
        return into && outOf;
    }

    /// <summary>From anywhere.</summary>
    private static bool Lets(List<V1NetworkPolicy> policies, string port) =>
        policies.Any(p => p.Spec.Ingress.Any(r => r.FromProperty is not { Count: > 0 } && r.Ports.Any(of => (string)of.Port == port)));

    [GeneratedRegex("^### (Dsops[A-Za-z]+)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex("runbook_url: (\\S+)")]
    private static partial Regex Link();

    [GeneratedRegex("<Version>(.*)</Version>")]
    private static partial Regex Version();
}
