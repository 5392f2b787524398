using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Benchmarks;

/// <summary>Eight nodes go at once from under a gang of 256 nodes with eight spares: one decision, 1,000 seeds.</summary>
internal static class LostNodesBenchmark
{
    private const int Nodes = 256, Lost = 8, Seeds = 1_000;

    /// <summary>What the aim says of all of it; a tick is a second.</summary>
    private const double LimitMilliseconds = 1_000;

    public static Task Run()
    {
        Table.Title($"lost nodes: {Lost} of a gang of {Nodes} at once, {Lost} spares, {Seeds} seeds");
        var policy = PlacementPolicy.Default with { Spares = Lost };
        var machines = Fabric.H800(Nodes + Lost);
        var gang = PlacementQueue.Decide(Ask(machines, policy, Gangs.Of("v3", Nodes))).Placed.Single().Grant;
        var had = gang.Nodes.ToImmutableHashSet();
        double[] took = new double[Seeds];
        int whole = 0;
        for (int seed = 0; seed < Seeds; seed++)
        {
            var nodes = gang.Nodes.ToArray();
            new Random(seed).Shuffle(nodes);
            var lost = nodes.Take(Lost).ToImmutableHashSet();
            ImmutableArray<NodeSeen> seen =
                [.. machines.Select(n => lost.Contains(n.Id) ? n with { Health = NodeHealth.NotReady } : n)];
            var question = Ask(seen, policy, Gangs.Of("v3", Nodes) with { Gang = 2, Restores = true });
            PlacementAnswer? answer = null;
            took[seed] = Table.Times(0, 1, () => answer = PlacementQueue.Decide(question))[0];
            whole += answer is { Placed: [{ Grant: var next }] } && next.Nodes.Distinct().Count() == Nodes
                && had.Except(lost).IsSubsetOf(next.Nodes) && !next.Nodes.Any(lost.Contains) ? 1 : 0;
        }

        Array.Sort(took);
        Table.AtMost("all replaced in one decision, p50", took.Percentile(0.5), LimitMilliseconds);
        Table.AtMost("the slowest of all seeds", took[^1], LimitMilliseconds);
        Table.Hold("healthy nodes kept, spares used once", Table.Say($"{whole} of {Seeds} seeds"), whole == Seeds, "all of them");
        return Task.CompletedTask;
    }

    private static PlacementQuestion Ask(ImmutableArray<NodeSeen> nodes, PlacementPolicy policy, GangRequest request) =>
        new(new ClusterSnapshot(nodes, [], Gangs.Now), [], [request], policy, Gangs.Now);
}
