using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Pods;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Pods;

/// <summary>What a node's conditions, taints, labels and pods say of it.</summary>
public sealed class NodeReadingTests
{
    private static readonly PodSettings Settings = new();

    private static readonly NodeFacts Whole = new("n", ImmutableDictionary<string, string>.Empty, false, [], [Ready("True")], 8, "boot");

    [Fact]
    public void A_whole_node_is_ready_and_all_of_its_GPUs_are_free() =>
        Assert.Equal((NodeHealth.Ready, 8, "ready"), Seen(Whole));

    [Theory]
    [InlineData("False", NodeHealth.NotReady, "its kubelet says that it is not ready: container runtime is down")]
    [InlineData("Unknown", NodeHealth.NotReady, "its kubelet does not report: container runtime is down")]
    public void A_kubelet_that_says_no_or_nothing_is_not_ready_with_its_words(string status, NodeHealth health, string why) =>
        Assert.Equal((health, 8, why), Seen(Whole with { Conditions = [Ready(status, "container runtime is down")] }));

    [Fact]
    public void A_node_that_has_not_reported_yet_is_unknown() =>
        Assert.Equal(NodeHealth.Unknown, Seen(Whole with { Conditions = [] }).Health);

    [Theory]
    [InlineData("GpuMemWatch")]
    [InlineData("SysLogsXIDError")]
    [InlineData("KernelDeadlock")]
    public void A_condition_that_node_health_tools_set_for_a_fatal_fault_takes_the_node_out(string condition)
    {
        var node = Whole with { Conditions = [Ready("True"), new(condition, "True", "XID 79. RecommendedAction: RESTART_VM")] };
        Assert.Equal((NodeHealth.NotReady, 8, $"{condition}: XID 79. RecommendedAction: RESTART_VM"), Seen(node));
        var mended = Whole with { Conditions = [Ready("True"), new(condition, "False", "healthy")] };
        Assert.Equal(NodeHealth.Ready, Seen(mended).Health);
        Assert.Equal(NodeHealth.Ready, NodeReading.Of(node, [], Settings with { FatalConditions = [] }).Health);
    }

    [Fact]
    public void A_cordon_says_who_did_it_where_that_is_known()
    {
        Assert.Equal(NodeHealth.Cordoned, Seen(Whole with { Unschedulable = true }).Health);
        var labels = ImmutableDictionary<string, string>.Empty
            .Add("k8saas.nvidia.com/cordon-by", "NVSentinel").Add("k8saas.nvidia.com/cordon-reason", "GpuMemWatch");
        Assert.Equal("cordoned by NVSentinel: GpuMemWatch", Seen(Whole with { Unschedulable = true, Labels = labels }).Reason);
    }

    [Fact]
    public void A_taint_keeps_gangs_away_unless_their_pods_tolerate_it()
    {
        var tainted = Whole with { Taints = [new("dedicated", "serving", "NoSchedule")] };
        Assert.Equal((NodeHealth.Cordoned, 8, "taint dedicated=serving:NoSchedule, which our pods do not tolerate"), Seen(tainted));
        Assert.Equal(NodeHealth.Ready, HealthWith(new PodToleration("dedicated", "")));
        Assert.Equal(NodeHealth.Ready, HealthWith(new PodToleration("dedicated", "serving")));
        Assert.Equal(NodeHealth.Cordoned, HealthWith(new PodToleration("dedicated", "training")));
        Assert.Equal(NodeHealth.Ready, Seen(Whole with { Taints = [new("dedicated", "serving", "PreferNoSchedule")] }).Health);

        NodeHealth HealthWith(PodToleration toleration) =>
            NodeReading.Of(tainted, [], Settings with { Tolerations = [toleration] }).Health;
    }

    [Fact]
    public void No_GPU_is_counted_twice_nor_below_none_and_only_what_runs_holds_any() =>
        Gen.Select(Gen.Int[0, 16], Gen.Int[0, int.MaxValue].Array[0, 5], Gen.Bool.Array[5]).Sample((gpus, asks, ended) =>
        {
            var pods = asks.Select((n, i) =>
                new PodFacts("ns", $"p{i}", "", null, "n", ended[i] ? "Succeeded" : "Running", "", null, n)).ToList();
            var seen = NodeReading.Of(Whole with { Gpus = gpus }, pods, Settings);
            Assert.Equal(Math.Max(0, gpus - pods.Where(p => !p.Ended).Sum(p => (long)p.Gpus)), seen.Slots);
            Assert.Equal(seen.Slots < gpus, seen.Reason.Contains("held by", StringComparison.Ordinal));
        });

    [Fact]
    public void The_first_label_that_a_node_has_says_where_it_hangs()
    {
        var labels = ImmutableDictionary<string, string>.Empty
            .Add("network.topology.nvidia.com/leaf", "leaf-7").Add("cloud.provider.com/topology-rack", "rack-1")
            .Add("topology.kubernetes.io/zone", "z1");
        var seen = NodeReading.Of(Whole with { Labels = labels }, [], Settings);
        Assert.Equal(("leaf-7", "z1"), (Fabric.LeafOf(seen), Fabric.ZoneOf(seen)));
        seen = NodeReading.Of(Whole with { Labels = labels }, [], Settings with { LeafLabels = ["cloud.provider.com/topology-rack"] });
        Assert.Equal("rack-1", Fabric.LeafOf(seen));
    }

    [Fact]
    public void Only_nodes_with_GPUs_and_with_all_labels_that_were_asked_for_are_ours()
    {
        var settings = Settings with { NodeLabels = ImmutableDictionary<string, string>.Empty.Add("pool", "training") };
        var labels = ImmutableDictionary<string, string>.Empty.Add("pool", "training");
        Assert.False(NodeReading.IsOurs(Whole, settings));
        Assert.True(NodeReading.IsOurs(Whole with { Labels = labels }, settings));
        Assert.False(NodeReading.IsOurs(Whole with { Labels = labels, Gpus = 0 }, settings));
    }

    [Theory]
    [InlineData("Running", "True", PodPhase.Running)]
    [InlineData("Running", "Unknown", PodPhase.Unknown)]
    [InlineData("Pending", "Unknown", PodPhase.Pending)]
    [InlineData("Failed", "Unknown", PodPhase.Exited)]
    [InlineData("Unknown", "True", PodPhase.Unknown)]
    public void What_runs_on_a_node_that_does_not_report_is_unknown_and_never_ended(string phase, string ready, PodPhase shown)
    {
        var pod = new PodFacts("ns", "p", "", new GangId(new StageId("r", "s"), 1), "n", phase, "", 9, 8);
        var seen = PodReading.Of(pod, Whole with { Conditions = [Ready(ready)] })!;
        Assert.Equal((shown, shown == PodPhase.Exited ? 9 : (int?)null), (seen.Phase, seen.ExitCode));
    }

    [Theory]
    [InlineData("Pending", "ImagePullBackOff: Back-off pulling image", "ImagePullBackOff: Back-off pulling image")]
    [InlineData("Failed", "Evicted: The node was low on resource: memory", "Evicted: The node was low on resource: memory")]
    [InlineData("Running", "anything", "")]
    public void Why_a_pod_waits_or_ended_is_told_in_the_clusters_own_words(string phase, string reason, string cause) =>
        Assert.Equal(cause, PodReading.Of(
            new PodFacts("ns", "p", "", new GangId(new StageId("r", "s"), 1), "n", phase, reason, null, 8), Whole)!.Cause);

    private static (NodeHealth Health, int Slots, string Reason) Seen(NodeFacts node)
    {
        var seen = NodeReading.Of(node, [], Settings);
        return (seen.Health, seen.Slots, seen.Reason);
    }

    private static NodeCondition Ready(string status, string message = "") => new("Ready", status, message);
}
