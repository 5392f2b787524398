using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>What a fault does to the gang, as far as a control plane can see it.</summary>
public enum FaultEffect
{
    /// <summary>One rank's process ends; its node is sound. A restart in place mends it.</summary>
    RankExits = 0,
    /// <summary>A rank stops making progress and nothing says so. A restart in place mends it.</summary>
    RankHangs = 1,
    /// <summary>A rank ends, and so does whatever is launched on its node after it, until the node is repaired.</summary>
    GpuFails = 2,
    /// <summary>The node is gone and has to be replaced and repaired.</summary>
    NodeLost = 3,
    /// <summary>The agent's process ends, and its ranks with it; the node is sound.</summary>
    AgentEnds = 4,
    /// <summary>The batch that is being trained makes a number not finite, each time that it is trained. Leaving it out mends it.</summary>
    NumbersBreak = 5,
}

/// <param name="Weight">Relative frequency: the count in the source.</param>
/// <param name="Effect">Ours: the sources count causes, not what a launcher sees of them.</param>
public sealed record FaultCause(string Name, double Weight, FaultEffect Effect);

/// <summary>A published failure statistic to draw faults from.</summary>
/// <param name="PerThousandNodeDays">Job-ending failures per 1,000 node-days.</param>
public sealed record FaultMix(string Name, double PerThousandNodeDays, ImmutableArray<FaultCause> Causes, string Source)
{
    public static FaultMix None { get; } = new("none", 0, [], "no faults");

    /// <summary>
    /// Llama 3 405B, 54 days on 16,384 GPUs: 419 unexpected interruptions by 18 causes (arXiv 2407.21783 table 5; the counts, not the
    /// printed percentages, which do not follow from them). 419 / (2,048 nodes × 54 days) = 3.79 per 1,000 node-days. Silent data
    /// corruption counts from when the rank's own check of its numbers ends it.
    /// </summary>
    public static FaultMix Llama3 { get; } = new("llama3", 3.79,
    [
        new("faulty GPU", 148, FaultEffect.GpuFails),
        new("GPU HBM3", 72, FaultEffect.GpuFails),
        new("software bug", 54, FaultEffect.RankExits),
        new("network switch or cable", 35, FaultEffect.RankHangs),
        new("host maintenance", 32, FaultEffect.NodeLost),
        new("GPU SRAM", 19, FaultEffect.GpuFails),
        new("GPU system processor", 17, FaultEffect.GpuFails),
        new("NIC", 7, FaultEffect.NodeLost),
        new("NCCL watchdog timeout", 7, FaultEffect.RankHangs),
        new("silent data corruption", 6, FaultEffect.GpuFails),
        new("GPU thermal or sensor", 6, FaultEffect.GpuFails),
        new("SSD", 3, FaultEffect.NodeLost),
        new("power supply", 3, FaultEffect.NodeLost),
        new("server chassis", 2, FaultEffect.NodeLost),
        new("IO expansion board", 2, FaultEffect.NodeLost),
        new("dependency", 2, FaultEffect.RankExits),
        new("CPU", 2, FaultEffect.NodeLost),
        new("system memory", 2, FaultEffect.NodeLost),
    ], "Llama 3, arXiv 2407.21783 table 5");

    /// <summary>
    /// Meta RSC-1 (arXiv 2410.21680): 6.50 per 1,000 node-days. It prints no mix of causes; those of its lemon nodes stand in for it.
    /// </summary>
    public static FaultMix Rsc1 { get; } = new("rsc1", 6.50, LemonCauses(), "Meta RSC-1, arXiv 2410.21680");

    /// <summary>Meta RSC-2 (arXiv 2410.21680): 2.34 per 1,000 node-days.</summary>
    public static FaultMix Rsc2 { get; } = new("rsc2", 2.34, LemonCauses(), "Meta RSC-2, arXiv 2410.21680");

    /// <summary>
    /// Fire-Flyer 2 (arXiv 2408.14158): its table of 12,970 Xids in one year on about 1,250 nodes of eight A100, errors of users' programs
    /// included: 12,970 / (1,250 × 365) = 28.4 per 1,000 node-days. What each does follows the actions it names: a program's errors and
    /// NVLink's end the process, ECC and uncorrectable errors need the GPU reset, a lost GPU and GSP errors the node.
    /// </summary>
    public static FaultMix FireFlyer { get; } = new("fireflyer", 28.4,
    [
        new("Xid 74 NVLink", 5521, FaultEffect.RankExits),
        new("Xid 43 software", 4342, FaultEffect.RankExits),
        new("Xid 31 memory page fault", 2487, FaultEffect.RankExits),
        new("Xid 63 ECC row remap", 245, FaultEffect.GpuFails),
        new("Xid 45 software", 240, FaultEffect.RankExits),
        new("Xid 13 software", 45, FaultEffect.RankExits),
        new("Xid 79 GPU off the bus", 37, FaultEffect.NodeLost),
        new("Xid 95 uncontained ECC", 17, FaultEffect.GpuFails),
        new("Xid 61 uncorrectable", 13, FaultEffect.GpuFails),
        new("Xid 94 contained ECC", 13, FaultEffect.GpuFails),
        new("Xid 62 uncorrectable", 3, FaultEffect.GpuFails),
        new("Xid 48 uncorrectable", 2, FaultEffect.GpuFails),
        new("Xid 64 ECC row remap", 2, FaultEffect.GpuFails),
        new("Xid 44 uncorrectable", 1, FaultEffect.GpuFails),
        new("Xid 69 uncorrectable", 1, FaultEffect.GpuFails),
        new("Xid 119 GSP", 1, FaultEffect.NodeLost),
    ], "Fire-Flyer 2, arXiv 2408.14158 section VII");

    public static ImmutableArray<FaultMix> All { get; } = [Llama3, Rsc1, Rsc2, FireFlyer, None];

    public FaultCause Draw(Random random)
    {
        double ticket = random.NextDouble() * Causes.Sum(c => c.Weight);
        foreach (var cause in Causes)
        {
            ticket -= cause.Weight;
            if (ticket < 0)
            {
                return cause;
            }
        }

        return Causes[^1];
    }

    private static ImmutableArray<FaultCause> LemonCauses() =>
    [
        new("GPU", 28.2, FaultEffect.GpuFails),
        new("DIMM", 20.5, FaultEffect.NodeLost),
        new("PCIe", 15.4, FaultEffect.NodeLost),
        new("other", 35.9, FaultEffect.RankExits),
    ];
}
