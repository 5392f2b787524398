using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Throughput;

/// <summary>Model FLOPs utilisation: operations the model needs per second, over what the hardware could do. 0..1.</summary>
public static class Mfu
{
    /// <summary>From hours that were paid: FLOPs per token × tokens / (GPU-hours × peak).</summary>
    public static double OfHours(double flopsPerToken, double tokens, double gpuHours, double peakTflops) =>
        flopsPerToken * tokens / (gpuHours * 3600 * peakTflops * 1e12);

    /// <summary>From a throughput of all GPUs together.</summary>
    public static double OfThroughput(double flopsPerToken, double tokensPerSecond, int gpus, double peakTflops) =>
        flopsPerToken * tokensPerSecond / (gpus * peakTflops * 1e12);

    /// <summary>
    /// Of a stage that runs: matrix products of model, gate and MTP, causal, forward and backward, against the device's BF16 peak.
    /// Null where there is no honest figure: an unknown peak (CPUs, unless one was measured), or RL, whose tokens are
    /// generated, scored and trained at different cost.
    /// </summary>
    /// <param name="step">Tells the context phase, and with it the sequence length.</param>
    /// <param name="measuredPeakTflops">Of one rank's device, where it was measured; else the pipeline's GPU decides.</param>
    public static double? Live(PipelineSpec pipeline, StageSpec stage, long step, double tokensPerSecond, double? measuredPeakTflops = null)
    {
        var resources = pipeline.ResourcesOf(stage);
        double? peak = measuredPeakTflops ?? (Gpu.All.TryGetValue(resources.Gpu, out var gpu) ? gpu.Bf16Tflops : null);
        return peak is > 0 && FlopsPerToken(pipeline, stage, step) is { } flops && double.IsFinite(tokensPerSecond) && tokensPerSecond >= 0
            ? OfThroughput(flops, tokensPerSecond, resources.Ranks, peak.Value)
            : null;
    }

    /// <summary>Operations to train one token at a step of a stage. Null for RL.</summary>
    public static double? FlopsPerToken(PipelineSpec pipeline, StageSpec stage, long step) =>
        stage.Recipe.SequenceOf(step) is { } length ? TokenFlops.Of(pipeline.ShapeAfter(stage), length).Training : null;
}
