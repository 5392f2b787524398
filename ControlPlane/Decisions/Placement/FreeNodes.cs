using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>Why nodes that are large enough cannot be had, each node counted once.</summary>
internal readonly record struct ExcludedNodes(
    int Busy, int NotReady, int Unknown, int Cordoned, int OutNow, int OutSoon, int Spares, int OtherGroup);

/// <summary>The same in words.</summary>
/// <param name="Counts">"24 busy, 2 cordoned".</param>
/// <param name="Others">What else keeps nodes from it, the most nodes first.</param>
internal sealed record Obstacles(string Counts, ImmutableArray<PendingReason> Others);

/// <summary>
/// The room that is left while one question is answered: free slots per node, grouped by leaf. Grants made during the answer take from
/// it, so that one answer never gives a GPU twice. It lives inside one call of <see cref="PlacementQueue.Decide"/>.
/// </summary>
internal sealed class FreeNodes
{
    private readonly NodeSeen[] nodes;
    private readonly Dictionary<NodeId, int> indexById;
    private readonly int[] freeSlots;
    private readonly PlacementPolicy policy;
    private readonly DateTimeOffset now;
    private readonly Windows windows;

    // Asked for every gang that waits, and the same until something is taken or given back.
    private Answers known = new();
    private readonly Dictionary<(int Slots, string Group), int> largeEnough = [];
    private readonly Dictionary<string, bool[]> members = new(StringComparer.Ordinal);

    public FreeNodes(ImmutableArray<NodeSeen> seen, IEnumerable<GangGrant> held, PlacementPolicy policy, DateTimeOffset now)
    {
        (this.policy, this.now) = (policy, now);
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

        windows = new Windows(nodes, policy, now);
        foreach (var grant in held)
        {
            Take(grant);
        }
    }

    public int Count => nodes.Length;

    public NodeSeen this[int index] => nodes[index];

    public void Take(GangGrant grant) => Move(grant, -grant.SlotsPerNode);

    public void GiveBack(GangGrant grant) => Move(grant, grant.SlotsPerNode);

    /// <summary>What keeps nodes from a gang, made once for all that need the same.</summary>
    public Obstacles ObstaclesOf(GangRequest request, Func<GangRequest, FreeNodes, Obstacles> make)
    {
        var need = NeedOf(request);
        return known.Obstacles.TryGetValue(need, out var made) ? made : known.Obstacles[need] = make(request, this);
    }

    /// <summary>Plays something through that leaves everything as it was, so that what was known before still is.</summary>
    public T Trial<T>(Func<T> play)
    {
        var before = known;
        known = new Answers();
        var outcome = play();
        known = before;
        return outcome;
    }

    /// <summary>Gives back, and says how many nodes the gang could have then; before it were <paramref name="feasibleBefore"/>.</summary>
    public int GiveBack(GangGrant grant, GangRequest request, int feasibleBefore)
    {
        if (!windows.None || (policy.Spares > 0 && !request.Restores))
        {
            GiveBack(grant);
            return Feasible(request).Count;
        }

        // Thousands of gangs may be held, and only the nodes of this one can have become free.
        var member = MembersOf(request.Group);
        int gained =
            grant.Nodes.Count(
                n => indexById.TryGetValue(n, out int i) && nodes[i].Health == NodeHealth.Ready && (member is null || member[i])
            && freeSlots[i] < request.SlotsPerNode && freeSlots[i] + grant.SlotsPerNode >= request.SlotsPerNode);
        GiveBack(grant);
        return feasibleBefore + gained;
    }

    /// <summary>Nodes that the gang could have now, in fabric order.</summary>
    public IReadOnlyList<int> Feasible(GangRequest request)
    {
        var need = NeedOf(request);
        if (known.Feasible.TryGetValue(need, out var there))
        {
            return there;
        }

        var member = MembersOf(request.Group);
        var found = new List<int>(nodes.Length);
        for (int i = 0; i < nodes.Length; i++)
        {
            if (nodes[i].Health == NodeHealth.Ready && freeSlots[i] >= request.SlotsPerNode && (member is null || member[i])
                && (request.Restores || !IsSpare(i)) && !windows.Overlaps(i, now, request.Expected))
            {
                found.Add(i);
            }
        }

        return known.Feasible[need] = found;
    }

    /// <summary>Maintenance is to come, so that what is feasible changes with time.</summary>
    public bool ChangesWithTime => !windows.None;

    /// <summary>How many nodes the gang could have at a later moment, if nothing but time changed.</summary>
    public int CountAt(GangRequest request, DateTimeOffset at)
    {
        var member = MembersOf(request.Group);
        int count = 0;
        for (int i = 0; i < nodes.Length; i++)
        {
            bool healthy = nodes[i].Health is NodeHealth.Ready or NodeHealth.Maintenance;
            count += healthy && freeSlots[i] >= request.SlotsPerNode && (member is null || member[i]) && (request.Restores || !IsSpare(i))
                && !windows.Overlaps(i, at, request.Expected) ? 1 : 0;
        }

        return count;
    }

    /// <summary>Nodes that could ever take so many ranks, whatever runs there or ails them now.</summary>
    public int LargeEnough(GangRequest request)
    {
        var key = (request.SlotsPerNode, request.Group);
        if (!largeEnough.TryGetValue(key, out int large))
        {
            var member = MembersOf(request.Group);
            large = largeEnough[key] = Enumerable.Range(0, nodes.Length)
                .Count(i => nodes[i].Slots >= request.SlotsPerNode && (member is null || member[i]));
        }

        // A cluster that has to keep spares free is that much smaller for whoever did not lose a node; a group only where no others are
        // left.
        return request.Restores ? large : large - Math.Max(0, policy.Spares - (request.Group.Length == 0 ? 0 : nodes.Length - large));
    }

    /// <summary>Why the other large enough nodes are not feasible.</summary>
    public ExcludedNodes Excluded(GangRequest request)
    {
        var need = NeedOf(request);
        return known.Excluded.TryGetValue(need, out var counts) ? counts : known.Excluded[need] = CountExcluded(request);
    }

    public bool IsSpare(int index) => policy.Spares > 0 && (known.Spares ??= ChooseSpares())[index];

    /// <summary>Nodes that a person took out and that would help the gang.</summary>
    public IEnumerable<NodeId> CordonedFor(GangRequest request)
    {
        var member = MembersOf(request.Group);
        return Enumerable.Range(0, nodes.Length)
            .Where(i => nodes[i].Health == NodeHealth.Cordoned && freeSlots[i] >= request.SlotsPerNode && (member is null || member[i]))
            .Select(i => nodes[i].Id);
    }

    /// <summary>Windows, soonest first, that keep the gang from nodes which it could have otherwise.</summary>
    public IReadOnlyList<(MaintenanceWindow Window, int Nodes)> WindowsBefore(GangRequest request)
    {
        var member = MembersOf(request.Group);
        return windows.None ? [] : [.. Enumerable.Range(0, nodes.Length)
            .Where(i =>
                nodes[i].Health is NodeHealth.Ready or NodeHealth.Maintenance && freeSlots[i] >= request.SlotsPerNode
                    && (member is null || member[i]))
            .Select(i => windows.FirstOverlap(i, now, request.Expected)).OfType<MaintenanceWindow>()
            .GroupBy(w => w).Select(g => (g.Key, g.Count())).OrderBy(g => g.Key.From)];
    }

    /// <summary>How many of the grant's nodes the gang could use at all.</summary>
    public int Shared(GangRequest request, GangGrant grant) => request.Group.Length == 0 ? grant.Nodes.Length
        : grant.Nodes.Count(n => indexById.TryGetValue(n, out int i) && MembersOf(request.Group)![i]);

    private void Move(GangGrant grant, int slots)
    {
        known.Forget();
        foreach (var node in grant.Nodes)
        {
            if (indexById.TryGetValue(node, out int index))
            {
                freeSlots[index] += slots;
            }
        }
    }

    private ExcludedNodes CountExcluded(GangRequest request)
    {
        var counts = default(ExcludedNodes);
        var member = MembersOf(request.Group);
        for (int i = 0; i < nodes.Length; i++)
        {
            if (nodes[i].Slots < request.SlotsPerNode)
            {
                continue;
            }

            counts = nodes[i].Health switch
            {
                _ when member is not null && !member[i] => counts with { OtherGroup = counts.OtherGroup + 1 },
                NodeHealth.NotReady => counts with { NotReady = counts.NotReady + 1 },
                NodeHealth.Unknown => counts with { Unknown = counts.Unknown + 1 },
                NodeHealth.Cordoned => counts with { Cordoned = counts.Cordoned + 1 },
                NodeHealth.Maintenance => counts with { OutNow = counts.OutNow + 1 },
                _ when windows.FirstOverlap(i, now, TimeSpan.Zero) is not null => counts with { OutNow = counts.OutNow + 1 },
                _ when freeSlots[i] < request.SlotsPerNode => counts with { Busy = counts.Busy + 1 },
                _ when windows.Overlaps(i, now, request.Expected) => counts with { OutSoon = counts.OutSoon + 1 },
                _ when !request.Restores && IsSpare(i) => counts with { Spares = counts.Spares + 1 },
                _ => counts,
            };
        }

        return counts;
    }

    /// <summary>Null: every node is one. A group that nobody named has no members.</summary>
    private bool[]? MembersOf(string group)
    {
        if (group.Length == 0)
        {
            return null;
        }

        if (!members.TryGetValue(group, out var are))
        {
            var named = policy.Groups.FirstOrDefault(g => g.Name == group);
            are = members[group] = [.. nodes.Select(n => named?.Holds(n) ?? false)];
        }

        return are;
    }

    /// <summary>
    /// The last of the wholly free nodes in fabric order: the same ones from one moment to the next, and the holes stay at one end. Nodes
    /// of a named group only where no others are left, so that a gang may have the whole group.
    /// </summary>
    private bool[] ChooseSpares()
    {
        bool[] chosen = new bool[nodes.Length];
        int left = policy.Spares;
        for (int pass = policy.Groups.IsEmpty ? 1 : 0; pass < 2; pass++)
        {
            for (int i = nodes.Length - 1; i >= 0 && left > 0; i--)
            {
                if (!chosen[i] && nodes[i].Health == NodeHealth.Ready && freeSlots[i] == nodes[i].Slots && (pass == 1 || !InAnyGroup(i))
                    && windows.FirstOverlap(i, now, TimeSpan.Zero) is null)
                {
                    chosen[i] = true;
                    left--;
                }
            }
        }

        return chosen;
    }

    private bool InAnyGroup(int index) => policy.Groups.Any(g => MembersOf(g.Name)![index]);

    private Need NeedOf(GangRequest request) =>
        new(request.SlotsPerNode, request.Group, windows.None ? 0 : request.Expected?.Ticks ?? -1, request.Restores && policy.Spares > 0);

    private sealed class Answers
    {
        public Dictionary<Need, List<int>> Feasible { get; } = [];

        public Dictionary<Need, ExcludedNodes> Excluded { get; } = [];

        public Dictionary<Need, Obstacles> Obstacles { get; } = [];

        public bool[]? Spares { get; set; }

        public void Forget()
        {
            Feasible.Clear();
            Excluded.Clear();
            Obstacles.Clear();
            Spares = null;
        }
    }

    private readonly record struct Need(int Slots, string Group, long ExpectedTicks, bool TakesSpares);

    /// <summary>Maintenance by node; of a cluster without any, nothing is kept.</summary>
    private sealed class Windows
    {
        private readonly MaintenanceWindow[][] byNode = [];

        public Windows(NodeSeen[] nodes, PlacementPolicy policy, DateTimeOffset now)
        {
            var ahead = policy.Maintenance.Where(w => w.Until > now).OrderBy(w => w.From).ToArray();
            None = ahead.Length == 0;
            byNode = None ? [] : [.. nodes.Select(n => Array.FindAll(ahead, w => w.Covers(n, policy.Groups)))];
        }

        public bool None { get; }

        public bool Overlaps(int node, DateTimeOffset from, TimeSpan? expected) => !None && FirstOverlap(node, from, expected) is not null;

        /// <summary>Of a gang that does not say how long it runs, any window to come may be in the way.</summary>
        public MaintenanceWindow? FirstOverlap(int node, DateTimeOffset from, TimeSpan? expected) => None ? null
            : Array.Find(byNode[node], w => w.Until > from && (expected is not { } length || from + length > w.From || w.Active(from)));
    }
}
