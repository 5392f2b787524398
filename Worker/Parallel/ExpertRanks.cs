namespace DeepSeekOps.Worker.Parallel;

/// <summary>The ranks that share the routed experts of the same layers, in the order of the experts that they hold.</summary>
public sealed record ExpertRanks(IProcessGroup All)
{
    /// <summary>Null: they lie on one node, or each on a node of its own, and nobody is to pass tokens on.</summary>
    public NodeGroups? Nodes { get; init; }
}

/// <summary>Ranks that lie on several nodes, as many on each.</summary>
/// <param name="Across">This rank and those at its place on the other nodes, in the order of the nodes.</param>
/// <param name="Within">Those on this rank's node, in the order of their places.</param>
public sealed record NodeGroups(IProcessGroup Across, IProcessGroup Within);
