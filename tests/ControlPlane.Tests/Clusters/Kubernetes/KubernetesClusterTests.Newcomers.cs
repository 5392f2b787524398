using DeepSeekOps.Decisions;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

/// <summary>A gang that is there takes a node in.</summary>
public sealed partial class KubernetesClusterTests
{
    [Fact]
    public async Task A_node_that_comes_to_a_gang_gets_a_pod_and_a_token_and_the_others_are_left_alone()
    {
        await cluster.CreatePods(Grant("a", "b"), Cancellation);
        string[] before = Uids();
        await cluster.CreatePods(Grant("c") with { Newcomers = [new NodeId("c")] }, Cancellation);
        Assert.Equal(before, Uids().Intersect(before));
        var came = server.Keys("pods").Select(k => server.Get(k)!).Single(p => (string)p["spec"]!["nodeName"]! == "c");
        var secret = server.Get(Assert.Single(server.Keys("secrets")))!;
        // Its environment asks for that key, and pods that run have read theirs.
        Assert.Equal("token of c", (string)secret["stringData"]![(string)came["metadata"]!["name"]!]!);
        var owner = server.Get(Assert.Single(server.Keys("configmaps")))!;
        Assert.All(new[] { came, secret }, o => Assert.Equal(
            (string)owner["metadata"]!["uid"]!, (string)o["metadata"]!["ownerReferences"]![0]!["uid"]!));

        string[] Uids() => [.. server.Keys("pods").Select(k => (string)server.Get(k)!["metadata"]!["uid"]!)];
    }
}
