namespace DeepSeekOps.ControlPlane.Clusters.Simulated;

/// <summary>The cluster of `dsops dev --cluster simulated`.</summary>
public sealed class SimulatedClusterOptions
{
    /// <summary>Nodes of eight GPUs each. Default: 256</summary>
    public int Nodes { get; set; } = 256;

    /// <summary>Simulated seconds in one second of the clock. Default: 1</summary>
    public double TimeFactor { get; set; } = 1;

    /// <summary>Everything random grows from it. Default: 1</summary>
    public int Seed { get; set; } = 1;

    /// <summary>Failures per 1000 node-days; 0: none but those made by hand. Default: 3.79 (Llama 3, arXiv 2407.21783 table 5: 419 in 54 days on 2048 nodes).</summary>
    public double FailuresPerThousandNodeDays { get; set; } = 3.79;
}
