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
    public const string FabricLabel = "deepseekops.io/fabric";

    /// <summary>A node without the label is under a leaf of its own kind: "" for all of them, which makes a flat network.</summary>
    public static string LeafOf(NodeSeen node) => node.Labels.GetValueOrDefault(LeafLabel, "");

    public static string ZoneOf(NodeSeen node) => node.Labels.GetValueOrDefault(ZoneLabel, "");

    /// <summary>Presets by the names that a settings file gives them.</summary>
    public static ImmutableSortedDictionary<string, FabricPreset> Presets { get; } = new[]
    {
        new FabricPreset("h800-256", 32, int.MaxValue, 8, 1,
            "8 planes of a two-layer fat tree of 64-port switches, one per GPU and NIC (rail), 50 GB/s each; no oversubscription "
                + "(arXiv 2505.09343 section 5)"),
        new FabricPreset("llama3-24k", 2, 192, 1, 7,
            "three-layer Clos: 2 nodes under a rack switch, 192 racks in a pod, pods joined with 1:7 oversubscription (arXiv "
                + "2407.21783 section 3.3.1)"),
    }.ToImmutableSortedDictionary(p => p.Name, p => p, StringComparer.Ordinal);

    /// <summary>
    /// DeepSeek-V3's cluster: 8 H800 per node; a leaf of each plane serves 32 nodes, so 256 nodes hang under 8 leaf groups in one zone.
    /// </summary>
    public static ImmutableArray<NodeSeen> H800(int nodes) => Build(Presets["h800-256"], nodes);

    /// <summary>Llama 3's cluster: a zone is a pod of 3,072 GPUs with full bisection.</summary>
    public static ImmutableArray<NodeSeen> Llama3(int nodes) => Build(Presets["llama3-24k"], nodes);

    /// <summary>What the nodes' labels say of the network.</summary>
    public static string InWords(ImmutableArray<NodeSeen> nodes)
    {
        int leaves = nodes.Select(n => (ZoneOf(n), LeafOf(n))).Distinct().Count();
        int zones = nodes.Select(ZoneOf).Distinct(StringComparer.Ordinal).Count();
        string? name = nodes.Select(n => n.Labels.GetValueOrDefault(FabricLabel)).FirstOrDefault(f => f is not null);
        string shape = $"{Words.Count(leaves, "leaf", "leaves")} in {Words.Count(zones, "zone", "zones")}";
        return name is not null && Presets.TryGetValue(name, out var preset) ? $"{name}: {shape}; {preset.Source}"
            : nodes.Any(n => n.Labels.ContainsKey(LeafLabel)) ? shape : "";
    }

    public static ImmutableArray<NodeSeen> Build(FabricPreset preset, int nodes)
    {
        var made = ImmutableArray.CreateBuilder<NodeSeen>(nodes);
        for (int i = 0; i < nodes; i++)
        {
            int leaf = i / preset.NodesPerLeaf;
            var labels = ImmutableDictionary<string, string>.Empty
                .Add(FabricLabel, preset.Name)
                .Add(LeafLabel, string.Create(CultureInfo.InvariantCulture, $"leaf-{leaf:000}"))
                .Add(ZoneLabel, string.Create(CultureInfo.InvariantCulture, $"zone-{leaf / preset.LeavesPerZone}"));
            var id = new NodeId(string.Create(CultureInfo.InvariantCulture, $"node-{i:0000}"));
            made.Add(new NodeSeen(id, NodeHealth.Ready, "", Slots: 8, labels));
        }

        return made.MoveToImmutable();
    }
}

/// <summary>A published network.</summary>
/// <param name="Planes">Networks beside each other; GPU k of each node is on rail k of plane k.</param>
/// <param name="Oversubscription">Between zones: so many times less than inside.</param>
public sealed record FabricPreset(string Name, int NodesPerLeaf, int LeavesPerZone, int Planes, int Oversubscription, string Source);
