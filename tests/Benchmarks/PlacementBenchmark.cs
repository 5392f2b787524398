using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// How long one decision about a 256-node gang takes, against a tenth of a tick and against plain first fit in the same run.
/// </summary>
internal static class PlacementBenchmark
{
    /// <summary>A tick is a second; a decision that took more of it than this would be felt.</summary>
    private const double LimitMilliseconds = 100;

    public static Task Run()
    {
        Table.Title("placement: one decision about a gang of 256 nodes (fabric, groups of 8, reservation, reasons)");
        var request = Gangs.Of("v3", 256);
        foreach (int size in new[] { 256, 1024, 4096 })
        {
            Measure($"empty cluster of {size}", Fabric.H800(size), [], request);
        }

        var large = Fabric.H800(2560);
        Measure("cluster of 2560, 90 % full: placed", large, Gangs.NineTenths(large), request);
        Measure("cluster of 2560, 90 % full: refused, with why", large, Gangs.NineTenths(large), Gangs.Of("v3", 512));
        return Task.CompletedTask;
    }

    private static void Measure(string what, ImmutableArray<NodeSeen> nodes, ImmutableArray<GangGrant> held, GangRequest request)
    {
        var question = Gangs.Ask(nodes, held, request);
        double[] ours = Table.Times(50, 500, () => PlacementQueue.Decide(question));
        double[] first = Table.Times(50, 500, () => FirstFit(question));
        Table.AtMost($"{what}, p50", ours.Percentile(0.5), LimitMilliseconds);
        Table.AtMost($"{what}, p99", ours.Percentile(0.99), LimitMilliseconds);
        Table.Line($"{what}, over plain first fit", Table.Say($"{ours.Percentile(0.5) / first.Percentile(0.5):0.0} x its p50"));
    }

    /// <summary>
    /// The least that any scheduler does: the first ready nodes with room, in the order they are listed; no topology, no reasons.
    /// </summary>
    private static List<NodeId>? FirstFit(PlacementQuestion question)
    {
        var request = question.Waiting[0];
        var used = new Dictionary<NodeId, int>();
        foreach (var grant in question.Held)
        {
            foreach (var node in grant.Nodes)
            {
                used[node] = used.GetValueOrDefault(node) + grant.SlotsPerNode;
            }
        }

        var chosen = new List<NodeId>();
        foreach (var node in question.Cluster.Nodes)
        {
            if (node.Health == NodeHealth.Ready && node.Slots - used.GetValueOrDefault(node.Id) >= request.SlotsPerNode)
            {
                chosen.Add(node.Id);
                if (chosen.Count == request.Nodes)
                {
                    return chosen;
                }
            }
        }

        return null;
    }
}
