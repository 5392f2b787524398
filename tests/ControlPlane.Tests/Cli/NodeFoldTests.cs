using CsCheck;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

/// <summary>`dsops cluster` of more nodes than a screen has lines.</summary>
public sealed class NodeFoldTests
{
    /// <summary>Lines that a terminal has under a heading and above a prompt.</summary>
    private const int Screen = 24;

    private static readonly string[] States = ["ready", "not-ready", "cordoned", "maintenance"];

    [Fact]
    public void A_cluster_of_256_nodes_that_trains_one_run_is_a_row_for_what_is_odd_and_one_for_the_rest()
    {
        Node[] nodes = [.. Enumerable.Range(0, 256).Select(i => Busy(i, "v3", 8))];
        nodes[20].LemonScore = 0.5;
        nodes[154] = new Node { Name = "node-0154", State = "not-ready", Slots = 8, Reason = "GPU HBM3" };
        nodes[9].Work[0].Ranks[5] = "exited";
        Assert.Equal(
            [
                new NodesAlike(1, "node-0009", "ready", 8, 8, "v3/pretrain try 2", "1 exited, 7 training", ""),
                new NodesAlike(1, "node-0020", "ready", 8, 8, "v3/pretrain try 2", "8 training", "lemon 0.50"),
                new NodesAlike(1, "node-0154", "not-ready", 0, 8, "", "", "GPU HBM3"),
                new NodesAlike(253, "node-0000 and 252 others", "ready", 2024, 2024, "v3/pretrain try 2", "2024 training", ""),
            ],
            NodeFold.Of(nodes));
    }

    [Fact]
    public void A_hundred_runs_are_counted_where_there_is_no_room_to_name_them()
    {
        var group = Assert.Single(NodeFold.Of([.. Enumerable.Range(0, 256).Select(i => Busy(i, $"run-{i % 100}", 8))]));
        Assert.Equal((256, "100 stages", "2048 training"), (group.Nodes, group.Work, group.Ranks));
    }

    [Fact]
    public void Whatever_a_cluster_of_256_nodes_does_it_fits_a_screen_and_no_node_and_no_slot_is_lost() =>
        Gen.Select(Gen.Int[0, 300], Gen.Int[0, States.Length - 1], Gen.Int[0, 8], Gen.Bool)
            .Array[17, 256].Sample(drawn =>
            {
                Node[] nodes = [.. drawn.Select((one, i) =>
                {
                    var node = Busy(i, $"run-{one.Item1}", one.Item3);
                    (node.State, node.Reason, node.Spare) = (States[one.Item2], one.Item1 % 3 == 0 ? $"reason {one.Item1}" : "", one.Item4);
                    return node;
                })];
                var rows = NodeFold.Of(nodes);
                Assert.InRange(rows.Count, 1, Screen);
                Assert.Equal(nodes.Length, rows.Sum(r => r.Nodes));
                Assert.Equal(nodes.Sum(n => n.SlotsUsed), rows.Sum(r => r.Used));
                Assert.Equal(rows.OrderBy(r => r.Nodes).Select(r => r.Nodes), rows.Select(r => r.Nodes));
            }, iter: 300);

    private static Node Busy(int i, string run, int used) => new()
    {
        Name = $"node-{i:0000}", State = "ready", Slots = 8, SlotsUsed = used, Run = used > 0 ? run : "",
        Stage = used > 0 ? "pretrain" : "",
        Attempt = used > 0 ? 2 : 0, Work = { new NodeWork { Ranks = { Enumerable.Repeat("training", used) } } },
    };
}
