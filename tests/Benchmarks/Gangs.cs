using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Benchmarks;

/// <summary>Requests and clusters to ask placement about.</summary>
internal static class Gangs
{
    public static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public static GangRequest Of(string run, int nodes, TimeSpan? expected = null) => new(
        new StageId(run, "pretrain"), 1, nodes, 8, 100, "default", Now, ImmutableDictionary<NodeId, string>.Empty)
    {
        Expected = expected,
        GroupNodes = 8,
    };

    public static PlacementQuestion Ask(ImmutableArray<NodeSeen> nodes, ImmutableArray<GangGrant> held,
        params ImmutableArray<GangRequest> waiting) =>
        new(new ClusterSnapshot(nodes, [], Now), held, waiting, PlacementPolicy.Default, Now);

    /// <summary>Gangs of one node on nine nodes of ten, evenly over all leaves.</summary>
    public static ImmutableArray<GangGrant> NineTenths(ImmutableArray<NodeSeen> nodes) =>
    [
        .. nodes.Where((_, i) => i % 10 != 0)
            .Select(n => new GangGrant(new StageId(n.Id.Name, "sft"), 1, [n.Id], 8, Now) { ExpectedEnd = Now + TimeSpan.FromHours(1) }),
    ];
}
