using DeepSeekOps.Decisions.Simulation;

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

    /// <summary>Published mix that faults are drawn from, with its rate. Default: Llama 3's.</summary>
    public FaultMix Faults { get; set; } = FaultMix.Llama3;

    /// <summary>Whoever asks may break what runs here on purpose. Default: nobody may.</summary>
    public bool Drills { get; set; }

    /// <summary>Network that the nodes hang in, by name. Default: h800-256</summary>
    public string Fabric { get; set; } = "h800-256";
}
