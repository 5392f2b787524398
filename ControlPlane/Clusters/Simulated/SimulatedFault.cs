using System.Collections.Immutable;

namespace DeepSeekOps.ControlPlane.Clusters.Simulated;

/// <summary>Why something broke.</summary>
/// <param name="Weight">How often it was seen.</param>
/// <param name="EndsNode">The machine needs a repair; otherwise only a rank process ends and goes on in place.</param>
internal sealed record SimulatedFault(string Cause, int Weight, bool EndsNode)
{
    /// <summary>Llama 3 405B, 54 days: counts of arXiv 2407.21783 table 5. Which of them end a node is ours.</summary>
    public static ImmutableArray<SimulatedFault> Llama3 { get; } =
    [
        new("faulty GPU", 148, true), new("GPU HBM3 memory", 72, true), new("software bug", 54, false), new("network switch or cable", 35, true),
        new("host maintenance", 32, true), new("GPU SRAM memory", 19, true), new("GPU system processor", 17, true), new("NIC", 7, true),
        new("NCCL watchdog timeout", 7, false), new("silent data corruption", 6, true), new("GPU thermal interface and sensor", 6, true),
        new("SSD", 3, true), new("power supply", 3, true), new("server chassis", 2, true), new("IO expansion board", 2, true),
        new("dependency", 2, false), new("CPU", 2, true), new("system memory", 2, true),
    ];

    private static readonly int TotalWeight = Llama3.Sum(f => f.Weight);

    public static SimulatedFault Draw(Random random)
    {
        int left = random.Next(TotalWeight);
        return Llama3.First(f => (left -= f.Weight) < 0);
    }
}
