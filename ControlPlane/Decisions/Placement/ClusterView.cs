using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>A node as people see it, with the gangs that hold slots of it and the pods that run there.</summary>
public sealed record NodeView(NodeSeen Node, int SlotsUsed, ImmutableArray<GangGrant> Gangs, ImmutableArray<PodSeen> Pods)
{
    /// <summary>Kept free for a gang that loses a node.</summary>
    public bool Spare { get; init; }

    /// <summary>Names of its groups.</summary>
    public ImmutableArray<string> Groups { get; init; } = [];

    /// <summary>It is under test now: why. Empty: it is not.</summary>
    public string Testing { get; init; } = "";
}

/// <summary>A gang that waits for nodes, and why.</summary>
/// <param name="Moved">A person put it where it stands, and why; empty: nobody did.</param>
public sealed record PendingGang(GangRequest Request, PlacementDecision.Pending Why, string Moved);

/// <summary>A team's GPUs.</summary>
/// <param name="Owns">Null: it has no quota.</param>
public sealed record TeamView(string Name, int? Owns, int Holds, int Asks);

/// <summary>
/// Free nodes, and how many of them lie in whole expert groups of eight under one leaf: the rest is scattered. Both 0 where no leaf has
/// eight nodes: two machines are not scattered.
/// </summary>
public sealed record Fragmentation(int Free, int InWholeGroups)
{
    /// <summary>Of DeepSeek-V3's expert parallelism: EP64 over 8 nodes.</summary>
    public const int GroupNodes = 8;

    /// <summary>0: all free nodes lie in whole groups; 1: none does.</summary>
    public double Share => Free == 0 ? 0 : 1 - ((double)InWholeGroups / Free);
}

/// <summary>The cluster as people see it.</summary>
/// <param name="Kind">"local", "kubernetes" or "simulated".</param>
/// <param name="Pending">In the order of the queue.</param>
public sealed record ClusterView(
    string Kind, bool Simulated, ImmutableArray<NodeView> Nodes, ImmutableArray<PendingGang> Pending, DateTimeOffset At)
{
    public ImmutableArray<TeamView> Teams { get; init; } = [];

    public PlacementPolicy Policy { get; init; } = PlacementPolicy.Default;

    public Fragmentation Fragmentation { get; init; } = new(0, 0);

    /// <summary>In words, with its source; empty where nothing is known of it.</summary>
    public string Fabric { get; init; } = "";

    public static ClusterView Of(string kind, bool simulated, PlacementQuestion question, ImmutableArray<PendingGang> pending)
    {
        var (seen, held, policy) = (question.Cluster, question.Held, question.Policy);
        var free = new FreeNodes(seen.Nodes, held, policy, question.Now);
        var spares = Enumerable.Range(0, free.Count).Where(free.IsSpare).Select(i => free[i].Id).ToHashSet();
        var gangsOf = held.SelectMany(h => h.Nodes.Select(n => (Node: n, Gang: h))).ToLookup(g => g.Node, g => g.Gang);
        var podsOf = seen.Pods.ToLookup(p => p.Node);
        ImmutableArray<NodeView> nodes = [.. seen.Nodes.Select(node =>
        {
            ImmutableArray<GangGrant> gangs = [.. gangsOf[node.Id]];
            return new NodeView(node, gangs.Sum(g => g.SlotsPerNode), gangs, [.. podsOf[node.Id]])
            {
                Spare = spares.Contains(node.Id),
                Groups = [.. policy.Groups.Where(g => g.Holds(node)).Select(g => g.Name)],
            };
        })];
        return new ClusterView(kind, simulated, nodes, pending, seen.At)
        {
            Policy = policy, Fragmentation = FragmentationOf(nodes), Teams = TeamsOf(question),
            Fabric = Placement.Fabric.InWords(seen.Nodes),
        };
    }

    private static Fragmentation FragmentationOf(ImmutableArray<NodeView> nodes)
    {
        var leaves = nodes.GroupBy(n => (Placement.Fabric.ZoneOf(n.Node), Placement.Fabric.LeafOf(n.Node)))
            .Where(leaf => leaf.Count() >= Fragmentation.GroupNodes).ToArray();
        if (leaves.Length == 0)
        {
            return new Fragmentation(0, 0);
        }

        static bool IsFree(NodeView node) => node is { SlotsUsed: 0, Node.Health: NodeHealth.Ready };
        return new Fragmentation(nodes.Count(IsFree),
            leaves.Sum(leaf => leaf.Count(IsFree) / Fragmentation.GroupNodes * Fragmentation.GroupNodes));
    }

    private static ImmutableArray<TeamView> TeamsOf(PlacementQuestion question) =>
        [.. question.Policy.QuotaSlots.Keys.Concat(question.Held.Select(h => h.Team)).Concat(question.Waiting.Select(w => w.Team))
            .Distinct(StringComparer.Ordinal)
            .Order(StringComparer.Ordinal).Select(team => new TeamView(
                team, question.Policy.QuotaSlots.TryGetValue(team, out int owns) ? owns : null,
                question.Held.Where(h => h.Team == team).Sum(h => h.Slots),
                question.Waiting.Where(w => w.Team == team).Sum(w => w.Nodes * w.SlotsPerNode)))];
}
