using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Gangs;

/// <summary>
/// Which of a gang's nodes go on in a smaller layout, and in which order: ranks go node by node, so the order says what each trains.
/// </summary>
public static class GangSeats
{
    /// <param name="left">Its nodes that can go on, in the gang's order.</param>
    /// <param name="count">How many the smaller layout has.</param>
    /// <returns>Fit: each rank is where one was that held the same part of the model. Otherwise the first ones.</returns>
    public static (ImmutableArray<NodeId> Nodes, bool Fit) Of(
        GangGrant gang, ImmutableArray<NodeId> left, ParallelLayout before, ParallelLayout after, int count)
    {
        if (before.Pipeline != after.Pipeline || before.Tensor != after.Tensor || before.Expert != after.Expert)
        {
            return ([.. left.Take(count)], false);
        }

        var had = left.Select(n => (Node: n, Parts: PartsAt(gang.Nodes.IndexOf(n), gang.Slots, gang.SlotsPerNode, before))).ToList();
        var nodes = ImmutableArray.CreateBuilder<NodeId>(count);
        for (int place = 0; place < count; place++)
        {
            var wants = PartsAt(place, count * gang.SlotsPerNode, gang.SlotsPerNode, after);
            int at = had.FindIndex(h => h.Parts.SequenceEqual(wants));
            if (at < 0)
            {
                return ([.. left.Take(count)], false);
            }

            nodes.Add(had[at].Node);
            had.RemoveAt(at);
        }

        return (nodes.MoveToImmutable(), true);
    }

    /// <summary>Every part of the model that ranks at these places held is held by ranks at others too.</summary>
    /// <param name="nodes">That the layout has.</param>
    public static bool HeldElsewhere(ParallelLayout layout, int nodes, int slots, IReadOnlySet<int> places)
    {
        var elsewhere = Enumerable.Range(0, nodes).Where(p => !places.Contains(p)).SelectMany(p => PartsAt(p, nodes * slots, slots, layout))
            .ToHashSet();
        return places.SelectMany(p => PartsAt(p, nodes * slots, slots, layout)).All(elsewhere.Contains);
    }

    /// <summary>Of each rank of a node, which part of the model it holds: layers, experts and slice (the worker's GangLayout.Of).</summary>
    private static ImmutableArray<(int Pipeline, int Expert, int Tensor)> PartsAt(int place, int ranks, int slots, ParallelLayout layout)
    {
        int ofStep = ranks / layout.Pipeline;
        return [.. Enumerable.Range(place * slots, slots).Select(rank => (rank / ofStep, rank % ofStep / layout.Tensor % layout.Expert,
            rank % layout.Tensor))];
    }
}
