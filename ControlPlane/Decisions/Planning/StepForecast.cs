using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Throughput;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>How long one optimizer step takes, and of what it consists.</summary>
/// <param name="DataParallel">Ranks that work on different sequences.</param>
/// <param name="Chunks">Micro-batches that pass a rank.</param>
/// <param name="BusySeconds">Forward and backward passes of a rank.</param>
/// <param name="BubbleSeconds">Waiting for other pipeline ranks, by the chosen schedule.</param>
/// <param name="AllToAllSeconds">Expert traffic of a rank over the fabric alone, if nothing hid it; 0: no expert group leaves its
/// node.</param>
/// <param name="NodeAllToAllSeconds">Expert traffic of a rank over NVLink within nodes, if nothing hid it.</param>
/// <param name="PointToPointSeconds">Activations and gradients between pipeline neighbours, if nothing hid them.</param>
public sealed record StepForecast(
    int DataParallel, double Chunks, double BusySeconds, double BubbleSeconds, double OptimizerSeconds, BubbleTable Bubbles,
    double AllToAllSeconds, double NodeAllToAllSeconds, double PointToPointSeconds)
{
    public double Seconds => BusySeconds + BubbleSeconds + OptimizerSeconds;

    public double BubbleShare => BubbleSeconds / Seconds;

    /// <param name="tokens">Of all sequences of the step.</param>
    /// <param name="chunkTokens">Of one micro-batch on one rank.</param>
    /// <param name="optimizerBytes">Optimizer states that a rank holds.</param>
    public static StepForecast Of(
        ModelShape model, Gpu gpu, Precision precision, ParallelLayout layout, ResourceSpec resources, double tokens, int sequenceLength,
        double chunkTokens, int contextParallel, double optimizerBytes)
    {
        int ranks = resources.Ranks;
        double busy = BusySecondsPerToken(model, gpu, precision, sequenceLength) * tokens / ranks;
        int pipelines = Math.Max(1, ranks / layout.Pipeline / layout.Tensor);
        double chunks = Math.Max(1, tokens / pipelines / chunkTokens);
        var bubbles = BubbleTable.Of(layout.Pipeline, busy / chunks);
        double passing = tokens / pipelines;
        var traffic = ExpertTraffic.Of(model, layout, resources.RanksPerNode);
        // Dispatch in FP8, where that is trained in, and combine in BF16; once more backward.
        double copyBytes = 2.0 * passing * model.MoeLayers / layout.Pipeline * model.HiddenSize * (precision == Precision.Fp8 ? 3 : 4);
        double boundaryBytes = layout.Pipeline == 1 ? 0 : 2.0 * passing * model.HiddenSize * 2;
        double boundaryLink = resources.Nodes == 1 ? gpu.NvlinkBytesPerSecond : gpu.FabricBytesPerSecond;
        return new StepForecast(
            Math.Max(1, pipelines / contextParallel), chunks, busy, bubbles.Of(layout.Schedule),
            Calibration.OptimizerSeconds * optimizerBytes / Calibration.OptimizerBytes, bubbles,
            copyBytes * traffic.FabricCopies / gpu.FabricBytesPerSecond, copyBytes * traffic.NvlinkCopies / gpu.NvlinkBytesPerSecond,
            boundaryBytes / boundaryLink);
    }

    /// <summary>
    /// Forward and backward of one token on one GPU. The calibrated share of the roofline holds for FP8 training. In BF16 the same
    /// products take longer at <see cref="Calibration.ProductEfficiency"/>; the rest, most of the time, does not change.
    /// </summary>
    private static double BusySecondsPerToken(ModelShape model, Gpu gpu, Precision precision, int sequenceLength)
    {
        double low = LowPrecisionFlops(model, TokenFlops.Of(model, sequenceLength));
        double longer = (low / (gpu.PeakTflops(precision) * 1e12)) - (low / (gpu.Fp8Tflops * 1e12));
        return (RooflineSeconds(model, gpu, Precision.Fp8, sequenceLength) / Calibration.KernelEfficiency)
            + (longer / Calibration.ProductEfficiency);
    }

    /// <summary>Seconds that one GPU at its peaks needs to train one token.</summary>
    public static double RooflineSeconds(ModelShape model, Gpu gpu, Precision precision, int sequenceLength)
    {
        var flops = TokenFlops.Of(model, sequenceLength);
        double low = LowPrecisionFlops(model, flops);
        return (low / (gpu.PeakTflops(precision) * 1e12)) + ((flops.Training - low) / (gpu.Bf16Tflops * 1e12));
    }

    /// <summary>Of products that FP8 training makes in FP8, forward and backward.</summary>
    private static double LowPrecisionFlops(ModelShape model, TokenFlops flops)
    {
        // MTP has the parts of a layer: what is not core, gate or head runs in FP8 like the rest.
        double mtpHigh = flops.MtpCore + (model.MtpDepth * (flops.Head + (flops.Gate / Math.Max(1, model.MoeLayers))));
        return 3 * (flops.Fp8Forward + flops.Mtp - mtpHigh);
    }
}
