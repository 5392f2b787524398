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
    /// Seconds of a micro-batch's parts on a rank, one micro-batch of 4,096 tokens: the table's sums over how often the step's schedule
    /// does each. DualPipe's rank 0 of 16 with 120 micro-batches has 23 forwards alone, 23 backwards alone, of which the table tells
    /// gradients of inputs and of weights apart, and 97 pairs. A send is the layers' output, 4,096 × 7,168 numbers in BF16, at the 40 GB/s
    /// that 400 Gb/s reach. None of it is fitted to the step or to its bubble.
    /// </summary>
    public static ChunkSeconds Chunk { get; } = new(1.13 / 23, 1.99 / 23, 0.48 / 23, 13.95 / 97, 4096.0 * 7168 * 2 / 40e9);

    /// <summary>Busy seconds of the rank in that step, and its micro-batches: what <see cref="Chunk"/> is a part of.</summary>
    public const double StepBusySeconds = 1.13 + 1.99 + 0.48 + 13.95;

    public const int StepChunks = 120;

    /// <summary>
    /// Measured bubble of 2.06 s over the 1.27 s of the step played from <see cref="Chunk"/> without sends, in which no rank is slower than
    /// another and nothing waits but for its turn. (With sends it is 1.48 s, and grows with the micro-batches.)
    /// </summary>
    public const double BubbleOverSimulated = 1.62;

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
