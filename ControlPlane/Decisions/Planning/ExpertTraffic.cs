using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>Copies of a token that leave a rank for its experts in one layer, at most, by the link that they take.</summary>
/// <remarks>
/// As DeepEP sends them: once over the fabric to each node that has some of the token's experts, then over NVLink to their GPUs. Ranks of
/// an expert group lie next to each other, and groups of experts are spread evenly over its nodes.
/// </remarks>
/// <param name="FabricCopies">To other nodes; V3 on 8 nodes: 4 nodes, of which one in eight is the token's own, 3.5.</param>
/// <param name="NvlinkCopies">To other GPUs of the node that a copy has reached.</param>
public readonly record struct ExpertTraffic(double FabricCopies, double NvlinkCopies)
{
    public static ExpertTraffic Of(ModelShape model, ParallelLayout layout, int ranksPerNode)
    {
        if (layout.Expert <= 1 || model.MoeLayers == 0)
        {
            return default;
        }

        int local = Math.Min(layout.Expert, ranksPerNode);
        double nodes = Math.Ceiling((double)layout.Expert / local);
        // A token's groups are limited; where one group is spread over several nodes, so are its experts.
        double limit = model.LimitedGroups * Math.Max(1, nodes / Math.Max(1, model.Groups));
        double reached = Math.Min(Math.Min(nodes, limit), model.ActiveExperts);
        double gpus = Math.Min(model.ActiveExperts, layout.Expert);
        return new ExpertTraffic(reached * (nodes - 1) / nodes, gpus * (local - 1) / local);
    }
}
