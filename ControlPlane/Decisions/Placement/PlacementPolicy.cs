using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>What the operators want of placement.</summary>
/// <param name="QuotaSlots">GPUs each team owns; a team that is not named owns none and may borrow.</param>
/// <param name="Borrow">A team may hold more than it owns until the owners ask for it: then borrowed gangs give way.</param>
/// <param name="PreemptAbove">A gang may push out gangs whose priority is lower by at least this much; null: never.</param>
public sealed record PlacementPolicy(ImmutableDictionary<string, int> QuotaSlots, bool Borrow, int? PreemptAbove)
{
    /// <summary>
    /// How many of the gangs that could start at all one answer looks at, best first; those behind wait for them. Default: 1000.
    /// </summary>
    public int Depth { get; init; } = 1000;

    /// <summary>Nodes kept free for gangs that run and lose one. Default: 0</summary>
    public int Spares { get; init; }

    /// <summary>Idle nodes are tested so often. Zero: only when asked for. Null: weekly, where nodes are machines. Default: null</summary>
    public TimeSpan? TestNodesEvery { get; init; }

    public ImmutableArray<NodeGroup> Groups { get; init; } = [];

    public ImmutableArray<MaintenanceWindow> Maintenance { get; init; } = [];

    /// <summary>One team's laptop or a cluster without quotas: everybody may use all of it; urgent work pushes out normal work.</summary>
    public static PlacementPolicy Default { get; } = new(ImmutableDictionary<string, int>.Empty, Borrow: true, PreemptAbove: 100);
}
