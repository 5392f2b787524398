using DeepSeekOps.ControlPlane.Tests.Pipelines;
using DeepSeekOps.Decisions.Doctor;
using k8s;
using k8s.Models;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

/// <summary>The rights that `dsops doctor` asks for are those that deploy/kubernetes grants. Costs nothing.</summary>
public sealed class ClusterRightsTests
{
    [Fact]
    public void What_the_doctor_asks_for_is_what_is_granted()
    {
        var items = KubernetesYaml.LoadAllFromString(File.ReadAllText(Path.Combine(Examples.Root, "deploy/kubernetes/access.yaml")));
        string[] granted =
        [
            .. items.OfType<V1ClusterRole>().Single().Rules.SelectMany(rule => Lines(rule, everywhere: true)),
            .. items.OfType<V1Role>().Single().Rules.SelectMany(rule => Lines(rule, everywhere: false)),
        ];
        Assert.Equal(granted.Order(StringComparer.Ordinal),
            ClusterRights.Used.Select(r => $"{r.EverywhereAsked} {r.Group} {r.Resource} {r.Verb}").Order(StringComparer.Ordinal));
    }

    private static IEnumerable<string> Lines(V1PolicyRule rule, bool everywhere) =>
        from verb in rule.Verbs from resource in rule.Resources select $"{everywhere} {rule.ApiGroups.Single()} {resource} {verb}";
}
