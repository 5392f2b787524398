using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>
/// Where a node hangs in the network: under a leaf, in a zone. Nodes under one leaf talk without leaving it; zones are joined by
/// fewer links than they have inside. Read from the node's labels, so that a real cluster says it in its own words.
/// </summary>
public static class Fabric
{
    public const string LeafLabel = "deepseekops.io/leaf";
    public const string ZoneLabel = "deepseekops.io/zone";

    /// <summary>A node without the label is under a leaf of its own kind: "" for all of them, which makes a flat network.</summary>
    public static string LeafOf(NodeSeen node) => node.Labels.GetValueOrDefault(LeafLabel, "");

    public static string ZoneOf(NodeSeen node) => node.Labels.GetValueOrDefault(ZoneLabel, "");

    /// <summary>
    /// DeepSeek-V3's cluster: 8 H800 per node, an 8-plane two-layer fat tree of 64-port switches (arXiv 2505.09343 section 5), so a
    /// leaf of each plane serves 32 nodes and 256 nodes hang under 8 leaf groups in one zone without oversubscription.
    /// </summary>
    public static ImmutableArray<NodeSeen> H800(int nodes) => Build(nodes, nodesPerLeaf: 32, leavesPerZone: int.MaxValue);

    /// <summary>
    /// Llama 3's cluster (arXiv 2407.21783 section 3.3.1): a top-of-rack switch serves two 8-GPU nodes, 192 racks make a pod of 3,072 GPUs
    /// with full bisection, pods are joined with 1:7 oversubscription: a zone is a pod.
    /// </summary>
    public static ImmutableArray<NodeSeen> Llama3(int nodes) => Build(nodes, nodesPerLeaf: 2, leavesPerZone: 192);

    private static ImmutableArray<NodeSeen> Build(int nodes, int nodesPerLeaf, int leavesPerZone)
    {
        var made = ImmutableArray.CreateBuilder<NodeSeen>(nodes);
        for (int i = 0; i < nodes; i++)
        {
            int leaf = i / nodesPerLeaf;
            var labels = ImmutableDictionary<string, string>.Empty
                .Add(LeafLabel, string.Create(CultureInfo.InvariantCulture, $"leaf-{leaf:000}"))
                .Add(ZoneLabel, string.Create(CultureInfo.InvariantCulture, $"zone-{leaf / leavesPerZone}"));
            var id = new NodeId(string.Create(CultureInfo.InvariantCulture, $"node-{i:0000}"));
            made.Add(new NodeSeen(id, NodeHealth.Ready, "", Slots: 8, labels));
        }

        return made.MoveToImmutable();
    }
}
