using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

public sealed class ClusterSettingsTests
{
    [Fact]
    public void The_example_is_what_it_says_it_is()
    {
        var parse = ClusterSettingsText.Parse(File.ReadAllText(Path.Combine(Examples.Root, "deploy/examples/cluster.yaml")), nodes: 256);
        Assert.Empty(parse.Problems);
        var policy = parse.Settings!.ToPolicy();
        Assert.Equal((4, 1024, true, 100), (policy.Spares, policy.QuotaSlots["foundation"], policy.Borrow, policy.PreemptAbove));
        Assert.Equal("deepseekops.io/leaf", Assert.Single(policy.Groups[0].Labels).Key);
        var window = Assert.Single(policy.Maintenance);
        Assert.Equal(TimeSpan.FromHours(2), window.Until - window.From);
        Assert.Equal(TimeSpan.Zero, window.From.Offset);
    }

    [Fact]
    public void All_problems_are_told_at_once_with_their_places()
    {
        var parse = ClusterSettingsText.Parse("""
            apiVersion: deepseekops/v1
            spares: 256
            preemptAbove: sometimes
            teams:
              - {name: a, gpus: 1}
              - {name: a, gpus: 2}
            groups:
              - {name: empty}
              - {name: any, nodes: [node-0]}
            maintenance:
              - {name: fans, group: emptee, from: 2026-12-01T08:00, for: 2}
              - {name: nothing, from: 2026-12-01T08:00Z, for: 2h}
            """, nodes: 256);

        Assert.Null(parse.Settings);
        string[] fields = [.. parse.Problems.Select(p => p.Field)];
        Assert.Equal(
            ["spares", "preemptAbove", "teams[1].name", "groups[0]", "groups[1].name", "maintenance[0].from", "maintenance[0].for",
                "maintenance[1]"], fields);
        Assert.All(parse.Problems, p => Assert.True(p.Line > 0 && p.Fix.Length > 0, p.ToString()));
    }

    [Fact]
    public void What_is_installed_on_Kubernetes_is_read_and_what_cannot_work_there_is_refused()
    {
        var installed = ClusterSettingsText.Parse(File.ReadAllText(Path.Combine(Examples.Root, "deploy/kubernetes/cluster.yaml")));
        Assert.Empty(installed.Problems);
        Assert.Equal("https://dsops-agents.dsops:5082", installed.Settings!.Pods!.ControlUrl);
        var wrong = ClusterSettingsText.Parse("""
            apiVersion: deepseekops/v1
            kubernetes:
              image: worker
              controlUrl: http://dsops:5082
              checkpoints: /elsewhere
              resources: [rdma/hca=some]
              volumes:
                - {path: /shared, claim: a, hostPath: /b}
                - {path: /shared, readOnly: true}
            """);
        Assert.Equal(["kubernetes.controlUrl", "kubernetes.resources", "kubernetes.volumes[0]", "kubernetes.volumes[1]"],
            wrong.Problems.Select(p => p.Field).Order(StringComparer.Ordinal));
        var clear = wrong.Problems.Single(p => p.Field == "kubernetes.controlUrl");
        Assert.Contains("would show agents' tokens", clear.Message, StringComparison.Ordinal);
        Assert.Contains("Write https://dsops:5082;", clear.Fix, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/elsewhere", "false", false)]
    [InlineData("/sharedly", "false", false)]
    [InlineData("/shared/checkpoints", "true", false)]
    [InlineData("/shared/checkpoints", "false", true)]
    [InlineData("/shared", "false", true)]
    public void Checkpoints_have_to_lie_where_pods_may_write_and_outlast_them(string folder, string readOnly, bool fits)
    {
        var parse = ClusterSettingsText.Parse($$"""
            apiVersion: deepseekops/v1
            kubernetes:
              image: worker
              controlUrl: https://dsops:5082
              checkpoints: {{folder}}
              volumes: [{path: /shared, claim: shared, readOnly: {{readOnly}} }]
            """);
        Assert.Equal(fits ? [] : ["kubernetes.checkpoints"], parse.Problems.Select(p => p.Field));
    }

    [Fact]
    public void Never_is_a_gap_and_nodes_may_be_named()
    {
        var settings =
            ClusterSettingsText.Parse("{apiVersion: deepseekops/v1, preemptAbove: never, groups: [{name: quiet, nodes: [node-0000]}]}")
                .Settings!;
        Assert.Null(settings.ToPolicy().PreemptAbove);
        Assert.Equal(new NodeId("node-0000"), Assert.Single(settings.Groups[0].Nodes));
    }

    [Fact]
    public void The_document_has_the_tables_that_read_the_file()
    {
        string file = Path.Combine(Examples.Root, "docs/cluster.md");
        const string Marker = "## The settings file, field by field\n";
        string text = File.ReadAllText(file), head = text[..(text.IndexOf(Marker, StringComparison.Ordinal) + Marker.Length)];
        if (Environment.GetEnvironmentVariable("DSOPS_ACCEPT") == "1")
        {
            File.WriteAllText(file, head + ClusterSettingsText.Reference());
        }

        Assert.Equal(head + ClusterSettingsText.Reference(), File.ReadAllText(file));
    }
}
