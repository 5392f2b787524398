namespace DeepSeekOps.Decisions.Planning;

/// <summary>What the plan cannot reckon from first principles: measured once, and named wherever a figure rests on it.</summary>
/// <remarks>
/// ISCA: "Insights into DeepSeek-V3" (arXiv 2505.09343), table 4: a step of 15360 sequences on 2048 H800, 120 chunks per rank.
/// </remarks>
public static class Calibration
{
    /// <summary>Roofline time of a rank's matrix products in that step over its measured busy time, 1.13 + 1.99 + 0.48 + 13.95 s.</summary>
    public const double KernelEfficiency = 0.2685;

    /// <summary>
    /// Parts of a chunk's busy time. Their sum is above one: a forward and a backward together take less than one after the other.
    /// </summary>
    public const double Forward = 0.335;

    public const double InputBackward = 0.595;

    public const double WeightBackward = 0.219;

    public const double OverlappedForwardAndBackward = 0.985;

    /// <summary>Measured bubble of 2.06 s over the 1.17 s of DualPipe's formula, which is a lower bound.</summary>
    public const double BubbleOverFormula = 1.77;

    /// <summary>Of a rank that holds <see cref="OptimizerBytes"/>. Reading and writing states is what an optimizer step does.</summary>
    public const double OptimizerSeconds = 0.29;

    /// <summary>Optimizer states of a rank in that step, as <see cref="MemoryForecast"/> reckons them.</summary>
    public const double OptimizerBytes = 5.2424e9;

    /// <summary>
    /// Share of its peak that a large matrix product reaches, in FP8 and in BF16. Assumed: it only says how much longer BF16 takes, about
    /// 1.3 times the FP8 step for V3.
    /// </summary>
    public const double ProductEfficiency = 0.6;

    /// <summary>Bytes that a node writes to storage in a second (Fire-Flyer, arXiv 2408.14158 section VII-A: more than 10 GiB/s).</summary>
    public const double CheckpointBytesPerNodeSecond = 10.0 * (1L << 30);

    /// <summary>Copy from the GPU to host memory; training waits for this part of a save.</summary>
    public const double HostCopyBytesPerSecond = 25e9;

    /// <inheritdoc cref="Recipes.StageRecipe.TokensPerInstance"/>
    public const double TokensPerInstance = Recipes.StageRecipe.TokensPerInstance;

    /// <summary>Of one output while it is generated (open-infra-index, day 6: 20 to 22).</summary>
    public const double DecodedTokensPerSecond = 22;

    /// <summary>Of all outputs of a node (open-infra-index, day 6).</summary>
    public const double DecodedTokensPerNodeSecond = 14_800;

    /// <summary>From a failure to the first new step: detection, placement, start, load.</summary>
    public static TimeSpan Recovery { get; } = TimeSpan.FromMinutes(5);

    /// <summary>Until a failed node is back.</summary>
    public static TimeSpan Repair { get; } = TimeSpan.FromHours(24);

    /// <summary>Failures that end a job (Llama 3, arXiv 2407.21783 table 5).</summary>
    public const double FailuresPerThousandNodeDays = 3.79;
}
