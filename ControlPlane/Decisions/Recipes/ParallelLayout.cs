using System.Text.Json.Serialization;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Decisions.Recipes;

/// <summary>How one model is spread over the ranks. Data parallelism is what remains: ranks / (pipeline × tensor × context).</summary>
public sealed record ParallelLayout
{
    public int Pipeline { get; init; } = 1;

    public int Tensor { get; init; } = 1;

    /// <summary>Ranks that share the experts of a layer.</summary>
    public int Expert { get; init; } = 1;

    /// <summary>ZeRO stage: 0 none, 1 optimizer states, 2 and gradients, 3 and weights.</summary>
    public int Zero { get; init; }

    public PipelineSchedule Schedule { get; init; } = PipelineSchedule.OneForwardOneBackward;

    /// <summary>
    /// Sequences of one forward pass of one data-parallel rank, as forecast and as trained; 0: nothing was said. Not stored under its name:
    /// there stood 1 where nothing had been said, and only the forecast read it.
    /// </summary>
    [JsonPropertyName("microBatchSaid")]
    public int MicroBatch { get; init; }

    /// <summary>What stands under that name: kept for a build of before, and read by nothing.</summary>
    [JsonPropertyName("microBatch")]
    public int MicroBatchBefore { get; init; } = 1;

    /// <summary>Sequences of one forward pass, of those that a data-parallel rank has of a step: the worker counts by the same.</summary>
    public int RowsAtOnce(int rows, BatchRamp? batch = null) =>
        PipelineSchedules.RowsAtOnce(Schedule, Pipeline, Math.Max(1, rows), MicroBatch > 0 ? MicroBatch : batch?.Micro ?? 0);

    /// <summary>So many ranks can be cut into pipelines, and their expert groups dealt evenly.</summary>
    public bool Fits(int ranks) => ranks % (Pipeline * Tensor) == 0 && ranks / Pipeline % Expert == 0;
}
