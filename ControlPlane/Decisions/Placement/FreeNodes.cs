using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>
/// The room that is left while one question is answered: free slots per node, grouped by leaf. Grants made during the answer take from
/// it, so that one answer never gives a GPU twice. It lives inside one call of <see cref="PlacementQueue.Decide"/>.
/// </summary>
internal sealed class FreeNodes
{
    private readonly NodeSeen[] nodes;
    private readonly Dictionary<NodeId, int> indexById;
    private readonly int[] freeSlots;

    // Asked for every gang that waits, and the same until something is taken or given back.
    private readonly Dictionary<int, List<int>> feasible = [];
    private readonly Dictionary<int, (int Busy, int NotReady, int Unknown, int Cordoned)> excluded = [];
    private readonly Dictionary<int, int> largeEnough = [];

    public FreeNodes(ImmutableArray<NodeSeen> seen, IEnumerable<GangGrant> held)
    {
        // Rank order follows the fabric, so the order is fixed once: zone, leaf, name.
        nodes = [.. seen.OrderBy(Fabric.ZoneOf, StringComparer.Ordinal).ThenBy(Fabric.LeafOf, StringComparer.Ordinal)
            .ThenBy(n => n.Id.Name, StringComparer.Ordinal)];
        indexById = new Dictionary<NodeId, int>(nodes.Length);
        freeSlots = new int[nodes.Length];
        for (int i = 0; i < nodes.Length; i++)
        {
            indexById[nodes[i].Id] = i;
            freeSlots[i] = nodes[i].Slots;
        }

        foreach (var grant in held)
        {
            Take(grant);
        }
    }

    public int Count => nodes.Length;

    public NodeSeen this[int index] => nodes[index];

    public int SlotsOf(int index) => freeSlots[index];

    public void Take(GangGrant grant)
    {
        Forget();
        foreach (var node in grant.Nodes)
        {
            if (indexById.TryGetValue(node, out int index))
            {
                freeSlots[index] -= grant.SlotsPerNode;
            }
        }
    }

    public void GiveBack(GangGrant grant)
    {
        Forget();
        foreach (var node in grant.Nodes)
        {
            if (indexById.TryGetValue(node, out int index))
            {
                freeSlots[index] += grant.SlotsPerNode;
            }
        }
    }

    /// <summary>Nodes that can take so many ranks now, in fabric order.</summary>
    public IReadOnlyList<int> Feasible(int slotsPerNode)
    {
        if (feasible.TryGetValue(slotsPerNode, out var known))
        {
            return known;
        }

        var found = new List<int>(nodes.Length);
        for (int i = 0; i < nodes.Length; i++)
        {
            if (nodes[i].Health == NodeHealth.Ready && freeSlots[i] >= slotsPerNode)
            {
                found.Add(i);
            }
        }

        return feasible[slotsPerNode] = found;
    }

    /// <summary>Nodes that could ever take so many ranks, whatever runs there or ails them now.</summary>
    public int LargeEnough(int slotsPerNode) => largeEnough.TryGetValue(slotsPerNode, out int known) ? known
        : largeEnough[slotsPerNode] = nodes.Count(n => n.Slots >= slotsPerNode);

    /// <summary>Why the other large enough nodes are not feasible: busy, or the health that keeps them out.</summary>
    public (int Busy, int NotReady, int Unknown, int Cordoned) Excluded(int slotsPerNode) =>
        excluded.TryGetValue(slotsPerNode, out var known) ? known : excluded[slotsPerNode] = CountExcluded(slotsPerNode);

    private (int Busy, int NotReady, int Unknown, int Cordoned) CountExcluded(int slotsPerNode)
    {
        var counts = (Busy: 0, NotReady: 0, Unknown: 0, Cordoned: 0);
        for (int i = 0; i < nodes.Length; i++)
        {
            if (nodes[i].Slots < slotsPerNode)
            {
                continue;
            }

            switch (nodes[i].Health)
            {
                case NodeHealth.NotReady: counts.NotReady++; break;
                case NodeHealth.Unknown: counts.Unknown++; break;
                case NodeHealth.Cordoned: counts.Cordoned++; break;
                case NodeHealth.Ready when freeSlots[i] < slotsPerNode: counts.Busy++; break;
                default: break;
            }
        }

        return counts;
    }

    private void Forget()
    {
        feasible.Clear();
        excluded.Clear();
    }
}
