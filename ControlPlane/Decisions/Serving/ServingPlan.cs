using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions.Serving;

/// <summary>Measured tokens per routed expert.</summary>
/// <param name="Layers">[layers][experts]; only the proportions within a layer matter.</param>
/// <param name="Groups">Of node-limited routing; V3: 8.</param>
/// <param name="ExpertsPerToken">Routed experts that a token goes to; V3: 8.</param>
public sealed record ExpertLoads(ImmutableArray<ImmutableArray<double>> Layers, int Groups, int ExpertsPerToken)
{
    private const int MostExperts = 4096;

    public int Experts => Layers.IsEmpty ? 0 : Layers[0].Length;

    /// <summary>What is wrong with them, in words; empty: nothing.</summary>
    public ImmutableArray<string> Problems() => [.. Found()];

    private IEnumerable<string> Found()
    {
        if (Experts is 0 or > MostExperts)
        {
            yield return Layers.IsEmpty ? "there is no layer" : $"layer 0 has {Experts} experts; it takes 1 to {MostExperts}";
            yield break;
        }

        if (Groups < 1 || Experts % Groups != 0)
        {
            yield return $"groups is {Groups}; {Experts} experts do not divide into them";
        }

        if (ExpertsPerToken < 1 || ExpertsPerToken > Experts)
        {
            yield return $"expertsPerToken is {ExpertsPerToken}; it must lie between 1 and {Experts}";
        }

        for (int layer = 0; layer < Layers.Length; layer++)
        {
            int wrong = Layers[layer].IndexOf(Layers[layer].FirstOrDefault(l => !double.IsFinite(l) || l < 0, 0));
            if (Layers[layer].Length != Experts)
            {
                yield return $"layer {layer} has {Layers[layer].Length} experts and layer 0 has {Experts}";
            }
            else if (Layers[layer].Any(l => !double.IsFinite(l) || l < 0))
            {
                yield return string.Create(CultureInfo.InvariantCulture,
                    $"layer {layer}, expert {wrong}: the load is {Layers[layer][wrong]}; it must be a number of tokens");
            }
            else if (Layers[layer].Sum() <= 0)
            {
                yield return $"layer {layer}: no expert has any load";
            }
        }
    }
}

/// <summary>A unit of GPUs that serves one phase.</summary>
/// <param name="Layout">In the words of the source.</param>
/// <param name="SharedRouted">The shared expert is one more routed expert that each token goes to, with slots of its own.</param>
/// <param name="Redundancy">Further slots over the number of experts; 32 of 256 in the report.</param>
public sealed record ServingUnit(string Name, int Nodes, int Gpus, string Layout, bool SharedRouted, double Redundancy, string Source)
{
    /// <summary>Ranks that share the attention of a token, with sequence parallelism where they are several.</summary>
    public int Tensor { get; init; } = 1;

    public int Data => Gpus / Tensor;

    /// <summary>DeepSeek-V3's own: the report's, and what ran a year later.</summary>
    public static ImmutableArray<ServingUnit> Published { get; } =
    [
        new("prefill", 4, 32, "TP4 with SP, DP8, EP32", false, 0.125, "DeepSeek-V3 report, section 3.4.1") { Tensor = 4 },
        new("decode", 40, 320, "TP4 with SP, DP80, EP320", true, 0, "DeepSeek-V3 report, section 3.4.2") { Tensor = 4 },
        new("prefill-production", 4, 32, "DP32, EP32, the shared expert on each GPU", false, 0.125, "open-infra-index, day 6"),
        new("decode-production", 18, 144, "DP144, EP144, the shared expert on each GPU", false, 0.125, "open-infra-index, day 6"),
    ];

    /// <summary>Physical experts of a layer on each GPU: room for all experts and the redundant ones.</summary>
    public int SlotsPerGpu(int experts) =>
        (int)Math.Ceiling(((SharedRouted ? experts + 1 : experts) + Math.Floor(experts * Redundancy)) / Gpus);
}

/// <summary>A unit with its placement.</summary>
/// <param name="SlotExperts">Per layer, the expert of each slot in GPU order. The shared expert, where it has slots, is the number after
/// the last.</param>
/// <param name="Before">Load of the busiest GPU over the mean, of the worst layer, with experts in order and none twice.</param>
/// <param name="After">…with this placement.</param>
public sealed record ServingDeployment(
    ServingUnit Unit, int SlotsPerGpu, ImmutableArray<ImmutableArray<int>> SlotExperts, ImmutableArray<double> BeforeByLayer,
    ImmutableArray<double> AfterByLayer)
{
    public int Slots => SlotsPerGpu * Unit.Gpus;

    public double Before => BeforeByLayer.Max();

    public double After => AfterByLayer.Max();

    public double MeanBefore => BeforeByLayer.Average();

    public double MeanAfter => AfterByLayer.Average();
}

/// <summary>Where the experts of a measured model go when it is served.</summary>
public sealed record ServingPlan(int Layers, int Experts, ImmutableArray<ServingDeployment> Deployments)
{
    /// <summary>Units that are too large for the model, and figures that do not compare alike.</summary>
    public ImmutableArray<string> Notes =>
    [
        .. Deployments.Where(d => d.Unit.Gpus > 2 * Experts).Select(d =>
            $"{d.Unit.Name}: {Experts} experts on {d.Unit.Gpus} GPUs; most GPUs only repeat an expert. A unit of at most "
                + $"{Experts} GPUs fits this model."),
        .. Deployments.Where(d => d.Unit.SharedRouted).Select(d =>
            $"{d.Unit.Name}: 'before' has the shared expert, which every token goes to, on one GPU alone; most of the "
                + "gain is from repeating it."),
    ];

    /// <param name="loads">Without <see cref="ExpertLoads.Problems"/>.</param>
    public static ServingPlan Of(ExpertLoads loads) =>
        new(loads.Layers.Length, loads.Experts, [.. ServingUnit.Published.Select(unit => Placed(unit, loads))]);

    /// <summary>Load of the busiest GPU over the mean.</summary>
    public static double ImbalanceOf(IReadOnlyList<double> load, IReadOnlyList<int> slotExperts, int gpus)
    {
        int perGpu = slotExperts.Count / gpus;
        var replicas = slotExperts.CountBy(e => e).ToDictionary();
        double busiest = Enumerable.Range(0, gpus)
            .Max(g => Enumerable.Range(g * perGpu, perGpu).Sum(s => load[slotExperts[s]] / replicas[slotExperts[s]]));
        return busiest / (load.Sum() / gpus);
    }

    private static ServingDeployment Placed(ServingUnit unit, ExpertLoads loads)
    {
        int perGpu = unit.SlotsPerGpu(loads.Experts);
        ImmutableArray<ImmutableArray<double>> layers = unit.SharedRouted
            ? [.. loads.Layers.Select(l => l.Add(l.Sum() / loads.ExpertsPerToken))] : loads.Layers;
        // The shared expert belongs to no group of experts.
        var balanced = ExpertBalancer.Place([.. layers], perGpu * unit.Gpus, unit.SharedRouted ? 1 : loads.Groups, unit.Nodes, unit.Gpus);
        var inOrder = InOrder(layers[0].Length, unit.Gpus, perGpu);
        var before = layers.Select(l => BeforeOf(l, unit.Gpus)).ToImmutableArray();
        // The balancer is greedy: a layer that happens to lie better as it is stays so.
        var placed =
            layers.Select((l, i) => ImbalanceOf(l, balanced.SlotExperts[i], unit.Gpus) <= before[i] ? balanced.SlotExperts[i] : inOrder)
                .ToImmutableArray();
        return new ServingDeployment(unit, perGpu, placed, before, [.. layers.Select((l, i) => ImbalanceOf(l, placed[i], unit.Gpus))]);
    }

    private static double BeforeOf(ImmutableArray<double> load, int gpus)
    {
        int block = (load.Length + gpus - 1) / gpus;
        return load.Chunk(block).Max(own => own.Sum()) / (load.Sum() / gpus);
    }

    /// <summary>
    /// Experts in order, as many to a GPU as before; slots that are left repeat an expert of the same GPU, or of an idle GPU any.
    /// </summary>
    private static ImmutableArray<int> InOrder(int experts, int gpus, int perGpu)
    {
        int block = (experts + gpus - 1) / gpus;
        return [.. Enumerable.Range(0, gpus).SelectMany(g => Enumerable.Range(0, perGpu).Select(s =>
        {
            int first = g * block;
            int own = Math.Min(block, experts - first);
            return own > 0 ? first + (s % own) : (g - (experts / block)) % experts;
        }))];
    }
}
