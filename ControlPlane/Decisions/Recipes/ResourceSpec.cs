using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.Recipes;

/// <summary>The machines of a gang.</summary>
public sealed record ResourceSpec
{
    public int Nodes { get; init; } = 1;

    /// <summary>One rank per GPU; on a laptop one per process.</summary>
    public int RanksPerNode { get; init; } = 1;

    /// <summary>"cpu", "cuda", or empty for cuda where there is one.</summary>
    public string Device { get; init; } = "";

    /// <summary>Threads per rank on CPU; 0: the node's cores divided by its ranks.</summary>
    public int Threads { get; init; }

    /// <summary>The GPU that plans and utilisation are reckoned against: "h800", "h100", "h200", "a100". Empty: none.</summary>
    public string Gpu { get; init; } = "";

    public double DollarsPerGpuHour { get; init; } = 2.0;

    /// <summary>Only nodes of this group, as the cluster's settings name it; empty: any node.</summary>
    public string Group { get; init; } = "";

    [JsonIgnore]
    public int Ranks => Nodes * RanksPerNode;
}
