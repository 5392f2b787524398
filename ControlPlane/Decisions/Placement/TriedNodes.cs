using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>A node on which a gang has made its first steps, and that has not been away since.</summary>
public sealed record TriedNode(NodeId Node, DateTimeOffset At, StageId By);

/// <summary>
/// Which nodes a gang has trained on. What was away (not ready, no longer listed, or out by a person, the calendar or its test while
/// nothing trained there) may have come back as another machine, and is new again.
/// </summary>
public static class TriedNodes
{
    /// <summary>All ranks of a gang have made their first steps on these.</summary>
    public static ImmutableArray<TriedNode> Add(ImmutableArray<TriedNode> known, IEnumerable<NodeId> nodes, StageId by, DateTimeOffset at)
    {
        var there = known.Select(t => t.Node).ToHashSet();
        return known.AddRange(nodes.Where(n => !there.Contains(n)).Select(n => new TriedNode(n, at, by)));
    }

    /// <summary>Without those that are away. None is: the same.</summary>
    /// <param name="seen">With cordons, tests and maintenance in it.</param>
    public static ImmutableArray<TriedNode> Follow(ImmutableArray<TriedNode> known, ClusterSnapshot seen, ImmutableArray<GangGrant> held)
    {
        // A cluster that stops as a whole, or shows no node at all, says nothing of any.
        if (known.IsEmpty || seen.Stopping || seen.Nodes.IsEmpty)
        {
            return known;
        }

        var used = held.SelectMany(h => h.Nodes).ToHashSet();
        var stays = seen.Nodes.Where(n => !IsAway(n, used.Contains(n.Id))).Select(n => n.Id).ToHashSet();
        return known.All(t => stays.Contains(t.Node)) ? known : known.RemoveAll(t => !stays.Contains(t.Node));
    }

    public static ClusterSnapshot With(this ClusterSnapshot seen, ImmutableArray<TriedNode> tried)
    {
        var known = tried.Select(t => t.Node).ToHashSet();
        return seen with { Nodes = [.. seen.Nodes.Select(n => known.Contains(n.Id) ? n : n with { Untried = true })] };
    }

    private static bool IsAway(NodeSeen node, bool used) => node.Health switch
    {
        // A pod that ended there is the stage's story, and the node is sound once it is gone.
        NodeHealth.NotReady => node.OutUntilGone is null,
        // What trains there goes on, and nobody can mend the machine under it.
        NodeHealth.Cordoned or NodeHealth.Maintenance => !used,
        NodeHealth.Ready or NodeHealth.Unknown => false,
        _ => throw new System.Diagnostics.UnreachableException($"health {node.Health}"),
    };
}
