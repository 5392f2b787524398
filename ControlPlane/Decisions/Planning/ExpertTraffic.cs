using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>Copies of a token that leave a rank for its experts in one layer, at most, by the link that they take.</summary>
/// <remarks>
/// As our ranks send them, and DeepEP: once over the fabric to each node that has some of the token's experts, then over NVLink to their
/// GPUs. Ranks of an expert group lie next to each other, and groups of experts are spread evenly over its nodes. Where nodes cut an expert
/// group into unequal parts, a token goes to each GPU by itself.
/// </remarks>
/// <param name="FabricCopies">To other nodes; V3 on 8 nodes: 4 nodes, of which one in eight is the token's own, 3.5.</param>
/// <param name="NvlinkCopies">To other GPUs of the node that a copy has reached, or that the token is on.</param>
public readonly record struct ExpertTraffic(double FabricCopies, double NvlinkCopies)
{
    public static ExpertTraffic Of(ModelShape model, ParallelLayout layout, int ranksPerNode)
    {
        int expert = layout.Expert;
        if (expert <= 1 || model.MoeLayers == 0)
        {
            return default;
        }

        int local = Math.Min(expert, ranksPerNode);
        double gpus = Math.Min(model.ActiveExperts, expert);
        if (!IsEvenlyCut(expert, ranksPerNode))
        {
            double away = gpus * MostElsewhere(expert, ranksPerNode);
            return new ExpertTraffic(away, (gpus * (expert - 1) / expert) - away);
        }

        int nodes = expert / local;
        double reached = Math.Min(Math.Min(nodes, model.LimitedGroups * NodesOfAGroup(nodes, Math.Max(1, model.Groups))), gpus);
        return new ExpertTraffic(reached * (nodes - 1) / nodes, gpus * (local - 1) / local);
    }

    /// <summary>Whether ranks that share experts lie on one node, or on several whole ones.</summary>
    public static bool IsEvenlyCut(int expert, int ranksPerNode) => ranksPerNode % expert == 0 || expert % Math.Max(1, ranksPerNode) == 0;

    /// <summary>A token's groups are limited; where one group is spread over several nodes, so are its experts.</summary>
    private static double NodesOfAGroup(int nodes, int groups) =>
        groups % nodes == 0 ? 1 : nodes % groups == 0 ? nodes / groups : Math.Ceiling((double)nodes / groups) + 1;

    /// <summary>Of a rank's peers the share on other nodes, on average over the expert group that is cut worst.</summary>
    private static double MostElsewhere(int expert, int ranksPerNode)
    {
        double Elsewhere(int place)
        {
            int head = Math.Min(expert, ranksPerNode - place);
            var (whole, tail) = Math.DivRem(expert - head, ranksPerNode);
            double Squared(double ranks) => ranks * ranks;
            return 1 - ((Squared(head) + (whole * Squared(ranksPerNode)) + Squared(tail)) / Squared(expert));
        }
        // The place on a node where a group begins repeats after as many groups as a node has ranks.
        return Enumerable.Range(0, ranksPerNode).Max(group => Elsewhere((int)((long)group * expert % ranksPerNode)));
    }
}
