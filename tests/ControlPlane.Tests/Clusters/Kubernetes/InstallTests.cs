using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters.Kubernetes;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.ControlPlane.Tests.Pipelines;
using DeepSeekOps.Decisions.Runs;
using k8s;
using k8s.Models;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

/// <summary>The files of deploy/kubernetes fit each other, the program and its settings.</summary>
public sealed class InstallTests
{
    private static readonly string Folder = Path.Combine(Examples.Root, "deploy/kubernetes");

    private static readonly List<object> Items =
    [
        .. new[] { "access.yaml", "control-plane.yaml", "pipelines.yaml" }.SelectMany(
            f => KubernetesYaml.LoadAllFromString(File.ReadAllText(Path.Combine(Folder, f)))),
    ];

    private static V1Deployment Deployment => Items.OfType<V1Deployment>().Single();

    private static V1Container Container => Deployment.Spec.Template.Spec.Containers.Single();

    [Fact]
    public void Agents_find_the_control_plane_by_the_service_that_is_installed()
    {
        var service = Items.OfType<V1Service>().Single(s => s.Metadata.Name == "dsops-agents");
        var settings = ClusterSettingsText.Parse(File.ReadAllText(Path.Combine(Folder, "cluster.yaml"))).Settings!;
        int port = service.Spec.Ports.Single().Port;
        Assert.Equal($"https://{service.Metadata.Name}.{service.Metadata.NamespaceProperty}:{port}", settings.Pods!.ControlUrl);
        Assert.Equal(settings.Pods.Namespace, service.Metadata.NamespaceProperty);
        Assert.Equal(port, Container.Ports.Single(p => p.Name == (string)service.Spec.Ports.Single().TargetPort).ContainerPort);
        Assert.Contains($"0.0.0.0:{port}", Container.Args);
        Assert.All(service.Spec.Selector, l => Assert.Equal(l.Value, Deployment.Spec.Template.Metadata.Labels[l.Key]));
    }

    [Fact]
    public void A_Prometheus_and_the_kubelet_find_the_port_for_monitoring()
    {
        var service = Items.OfType<V1Service>().Single(s => s.Metadata.Name == "dsops-monitoring");
        int port = service.Spec.Ports.Single().Port;
        string target = $"{service.Metadata.Name}.{service.Metadata.NamespaceProperty}.svc:{port}";
        string scrape = File.ReadAllText(Path.Combine(Examples.Root, "deploy/monitoring/prometheus.yaml"));
        Assert.Contains(target, scrape, StringComparison.Ordinal);
        string name = service.Spec.Ports.Single().TargetPort;
        Assert.Equal(port, Container.Ports.Single(p => p.Name == name).ContainerPort);
        Assert.Equal($"0.0.0.0:{port}", Container.Args.SkipWhile(a => a != "--monitoring").ElementAt(1));
        Assert.All(new[] { Container.LivenessProbe, Container.StartupProbe },
            probe => Assert.Equal(("/livez", name, "HTTPS"), (probe.HttpGet.Path, (string)probe.HttpGet.Port, probe.HttpGet.Scheme)));
        Assert.Contains("scheme: https", scrape, StringComparison.Ordinal);
        Assert.All(service.Spec.Selector, l => Assert.Equal(l.Value, Deployment.Spec.Template.Metadata.Labels[l.Key]));
    }

    [Fact]
    public void Checkpoints_lie_on_a_claim_that_control_plane_and_pods_see_under_one_path()
    {
        var pods = ClusterSettingsText.Parse(File.ReadAllText(Path.Combine(Folder, "cluster.yaml"))).Settings!.Pods!;
        var volume = pods.Volumes.Single(v => pods.Checkpoints.StartsWith(v.Path + "/", StringComparison.Ordinal));
        var claim = Items.OfType<V1PersistentVolumeClaim>().Single(c => c.Metadata.Name == volume.Claim);
        Assert.Equal(["ReadWriteMany"], claim.Spec.AccessModes);
        string name = Deployment.Spec.Template.Spec.Volumes.Single(v => v.PersistentVolumeClaim?.ClaimName == volume.Claim).Name;
        Assert.Equal(volume.Path, Container.VolumeMounts.Single(m => m.Name == name).MountPath);
        Assert.All(Deployment.Spec.Template.Spec.Volumes.Where(v => v.PersistentVolumeClaim is not null), v =>
            Assert.Contains(Items.OfType<V1PersistentVolumeClaim>(), c => c.Metadata.Name == v.PersistentVolumeClaim.ClaimName));
    }

    [Fact]
    public Task The_program_takes_the_arguments_that_it_is_started_with() => IsTaken(Container.Args);

    private static async Task IsTaken(IEnumerable<string> arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        string[] args = [.. arguments.Select(a => a == "/settings/cluster.yaml" ? Path.Combine(Folder, "no-such-file.yaml") : a)];
        var terminal = new Terminal(output, error, 100, Colors: false, Interactive: false);
        int code = await DeepSeekOps.ControlPlane.Cli.CommandLine.Run(args, terminal, TestContext.Current.CancellationToken);
        // It got as far as reading the file that is not there.
        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains("no-such-file.yaml cannot be read", error.ToString(), StringComparison.Ordinal);
    }

    /// <summary>The component https/, whose patches are all of one form.</summary>
    [Fact]
    public async Task Put_on_the_network_it_is_started_with_a_name_and_the_certificate_of_a_secret()
    {
        string text = File.ReadAllText(Path.Combine(Folder, "https/kustomization.yaml"));
        string[] patched = [.. System.Text.RegularExpressions.Regex.Matches(text, "containers/0/args/-, value: \"([^\"]+)\"")
            .Select(m => m.Groups[1].Value)];
        Assert.Equal(8, patched.Length);
        Assert.All(patched.Where(a => a.StartsWith("/tls/", StringComparison.Ordinal)),
            file => Assert.Contains(Path.GetFileName(file), "tls.crt tls.key", StringComparison.Ordinal));
        Assert.Contains("mountPath: /tls", text, StringComparison.Ordinal);
        var service = KubernetesYaml.Deserialize<V1Service>(File.ReadAllText(Path.Combine(Folder, "https/service.yaml")));
        Assert.Contains($"name: {(string)service.Spec.Ports.Single().TargetPort}, containerPort: 8443", text, StringComparison.Ordinal);
        Assert.All(service.Spec.Selector, l => Assert.Equal(l.Value, Deployment.Spec.Template.Metadata.Labels[l.Key]));
        Assert.Contains("components: [https]", File.ReadAllText(Path.Combine(Folder, "kustomization.yaml")), StringComparison.Ordinal);
        await IsTaken([.. Container.Args, .. patched]);
    }

    [Fact]
    public void Rights_are_granted_to_the_account_that_runs_it()
    {
        var account = Items.OfType<V1ServiceAccount>().Single();
        Assert.Equal(account.Metadata.Name, Deployment.Spec.Template.Spec.ServiceAccountName);
        var subjects = Items.OfType<V1RoleBinding>().SelectMany(b => b.Subjects).Concat(
            Items.OfType<V1ClusterRoleBinding>().SelectMany(b => b.Subjects)).ToList();
        Assert.Equal(2, subjects.Count);
        Assert.All(subjects, s => Assert.Equal((account.Metadata.Name, account.Metadata.NamespaceProperty), (s.Name, s.NamespaceProperty)));
    }

    [Fact]
    public void The_definition_of_a_training_pipeline_is_that_which_is_asked_for_and_what_is_written_into_it_has_a_place()
    {
        var definition = Items.OfType<V1CustomResourceDefinition>().Single();
        Assert.Equal(($"{PipelineObject.Plural}.{PipelineObject.Group}", PipelineObject.Group, Declaration.Kind),
            (definition.Metadata.Name, definition.Spec.Group, definition.Spec.Names.Kind));
        var version = definition.Spec.Versions.Single();
        Assert.Equal(PipelineObject.Version, version.Name);
        var root = version.Schema.OpenAPIV3Schema.Properties;
        Assert.True(root["spec"].XKubernetesPreserveUnknownFields);
        var now = DateTimeOffset.UnixEpoch;
        var status = PipelineReading.Tell(
            new DeclarationStatus(1, "r", "running", "s", 1, 2, "why", DeclarationVerdict.Submitted, "", now, now))["status"]!.AsObject();
        // An API server drops in silence what the schema does not have.
        Assert.Equal(root["status"].Properties.Keys.Order(), status.Select(p => p.Key).Order());
        var items = (IDictionary<object, object>)root["status"].Properties["conditions"].Items;
        var condition = (IDictionary<object, object>)items["properties"];
        Assert.Equal(condition.Keys.Cast<string>().Order(), status["conditions"]![0]!.AsObject().Select(p => p.Key).Order());
        Assert.All(version.AdditionalPrinterColumns.Where(c => c.JsonPath.StartsWith(".status.", StringComparison.Ordinal)),
            c => Assert.Contains(c.JsonPath[".status.".Length..], status.Select(p => p.Key)));
    }

    [Fact]
    public void One_command_installs_every_file_that_is_there()
    {
        string kustomization = File.ReadAllText(Path.Combine(Folder, "kustomization.yaml"));
        Assert.All(Directory.GetFiles(Folder).Select(f => Path.GetFileName(f)).Where(f => f != "kustomization.yaml"),
            file => Assert.Contains(file, kustomization, StringComparison.Ordinal));
    }
}
