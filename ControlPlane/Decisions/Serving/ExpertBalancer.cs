using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Serving;

/// <summary>Which physical slot holds which expert, and where an expert's replicas are.</summary>
/// <param name="SlotExperts">Per layer, the logical expert of each physical slot, in GPU order.</param>
/// <param name="Replicas">Per layer, how many slots each logical expert has.</param>
public sealed record ExpertPlacement(ImmutableArray<ImmutableArray<int>> SlotExperts, ImmutableArray<ImmutableArray<int>> Replicas);

/// <summary>
/// The expert-parallel load balancer of the report's deployment (section 3.4): hot experts get further replicas, and replicas are
/// spread so that GPUs carry about equal load. Hierarchical where groups divide among nodes (groups stay on one node), else global.
/// Equal weights go to the lower index.
/// </summary>
public static class ExpertBalancer
{
    /// <summary>load [layers][experts] as measured; slots is the number of physical experts of a layer over all GPUs.</summary>
    public static ExpertPlacement Place(IReadOnlyList<IReadOnlyList<double>> load, int slots, int groups, int nodes, int gpus)
    {
        int experts = load[0].Count;
        if (groups % nodes != 0)
        {
            (groups, nodes) = (1, 1);
        }

        Require(experts % groups == 0, $"{experts} experts do not divide into {groups} groups");
        Require(gpus % nodes == 0, $"{gpus} GPUs do not divide among {nodes} nodes");
        Require(slots % gpus == 0, $"{slots} slots do not divide among {gpus} GPUs");
        Require(slots >= experts, $"{slots} slots are fewer than {experts} experts");
        var layers = load.Select(weights => PlaceLayer(weights, slots, groups, nodes, gpus)).ToArray();
        return new ExpertPlacement(
            [.. layers.Select(l => l.ToImmutableArray())],
            [.. layers.Select(l => Enumerable.Range(0, experts).Select(e => l.Count(x => x == e)).ToImmutableArray())]);
    }

    private static int[] PlaceLayer(IReadOnlyList<double> weights, int slots, int groups, int nodes, int gpus)
    {
        var groupSize = weights.Count / groups;
        var groupWeights = Enumerable.Range(0, groups).Select(g => Enumerable.Range(g * groupSize, groupSize).Sum(e => weights[e]))
            .ToArray();
        var placed = new List<int>(slots);
        foreach (var node in Packs(groupWeights, nodes))
        {
            int[] own = [.. node.SelectMany(g => Enumerable.Range(g * groupSize, groupSize))];
            var replicas = Replicated([.. own.Select(e => weights[e])], slots / nodes);
            var counts = replicas.CountBy(r => r).ToDictionary();
            double[] share = [.. replicas.Select(r => weights[own[r]] / counts[r])];
            placed.AddRange(Packs(share, gpus / nodes).SelectMany(gpu => gpu.Select(slot => own[replicas[slot]])));
        }

        return [.. placed];
    }

    /// <summary>Heaviest first, each to the lightest pack that is not full: packs of equal count.</summary>
    private static List<int>[] Packs(double[] weights, int packs)
    {
        int size = weights.Length / packs;
        var content = Enumerable.Range(0, packs).Select(_ => new List<int>(size)).ToArray();
        var filled = new double[packs];
        foreach (var item in Enumerable.Range(0, weights.Length).OrderByDescending(i => weights[i]))
        {
            var lightest = Enumerable.Range(0, packs).Where(p => content[p].Count < size).MinBy(p => filled[p]);
            content[lightest].Add(item);
            filled[lightest] += weights[item];
        }

        return content;
    }

    /// <summary>Each expert once, then again and again the one whose replicas carry most.</summary>
    private static List<int> Replicated(double[] weights, int slots)
    {
        var replicas = Enumerable.Range(0, weights.Length).ToList();
        var counts = Enumerable.Repeat(1, weights.Length).ToArray();
        while (replicas.Count < slots)
        {
            var heaviest = Enumerable.Range(0, weights.Length).MaxBy(e => weights[e] / counts[e]);
            replicas.Add(heaviest);
            counts[heaviest]++;
        }

        return replicas;
    }

    private static void Require(bool holds, string problem)
    {
        if (!holds)
        {
            throw new ArgumentException(problem + ".");
        }
    }
}
