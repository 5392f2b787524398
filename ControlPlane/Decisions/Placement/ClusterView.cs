using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>A node as people see it, with the gangs that hold slots of it and the pods that run there.</summary>
public sealed record NodeView(NodeSeen Node, int SlotsUsed, ImmutableArray<GangGrant> Gangs, ImmutableArray<PodSeen> Pods);

/// <summary>A gang that waits for nodes, and why.</summary>
public sealed record PendingGang(GangRequest Request, string Reason);

/// <summary>The cluster as people see it.</summary>
/// <param name="Kind">"local", "kubernetes" or "simulated".</param>
public sealed record ClusterView(
    string Kind, bool Simulated, ImmutableArray<NodeView> Nodes, ImmutableArray<PendingGang> Pending, DateTimeOffset At)
{
    public static ClusterView Of(
        string kind, bool simulated, ClusterSnapshot seen, ImmutableArray<GangGrant> held, ImmutableArray<PendingGang> pending)
    {
        var nodes = seen.Nodes.Select(node =>
        {
            var gangs = held.Where(h => h.Nodes.Contains(node.Id)).ToImmutableArray();
            return new NodeView(node, gangs.Sum(g => g.SlotsPerNode), gangs, [.. seen.Pods.Where(p => p.Node == node.Id)]);
        });
        return new ClusterView(kind, simulated, [.. nodes], pending, seen.At);
    }
}
