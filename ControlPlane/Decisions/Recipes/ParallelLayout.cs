using DeepSeekOps.Recipes.Pipelining;

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

    /// <summary>Sequences of one forward pass of one data-parallel rank.</summary>
    public int MicroBatch { get; init; } = 1;

    /// <summary>So many ranks can be cut into pipelines, and their expert groups dealt evenly.</summary>
    public bool Fits(int ranks) => ranks % (Pipeline * Tensor) == 0 && ranks / Pipeline % Expert == 0;
}
