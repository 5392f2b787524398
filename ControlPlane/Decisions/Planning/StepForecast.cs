using System.Diagnostics;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Throughput;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>How long one optimizer step takes, and of what it consists.</summary>
/// <param name="DataParallel">Ranks that work on different sequences.</param>
/// <param name="Chunks">Micro-batches that pass a rank.</param>
/// <param name="BusySeconds">Forward and backward passes of a rank.</param>
/// <param name="BubbleSeconds">Waiting for other pipeline ranks, by the chosen schedule.</param>
/// <param name="AllToAllSeconds">Expert traffic of a rank over the fabric alone, if nothing hid it.</param>
/// <param name="PointToPointSeconds">Activations and gradients between pipeline neighbours, if nothing hid them.</param>
public sealed record StepForecast(
    int DataParallel, double Chunks, double BusySeconds, double BubbleSeconds, double OptimizerSeconds, BubbleTable Bubbles,
    double AllToAllSeconds, double PointToPointSeconds)
{
    public double Seconds => BusySeconds + BubbleSeconds + OptimizerSeconds;

    public double BubbleShare => BubbleSeconds / Seconds;

    /// <param name="tokens">Of all sequences of the step.</param>
    /// <param name="chunkTokens">Of one micro-batch on one rank.</param>
    public static StepForecast Of(
        ModelShape model, Gpu gpu, Precision precision, ParallelLayout layout, int ranks, double tokens, int sequenceLength, double chunkTokens,
        int contextParallel)
    {
        double busy = RooflineSeconds(model, gpu, precision, sequenceLength) * tokens / ranks / Calibration.KernelEfficiency;
        int pipelines = Math.Max(1, ranks / layout.Pipeline / layout.Tensor);
        double chunks = Math.Max(1, tokens / pipelines / chunkTokens);
        var bubbles = BubbleTable.Of(layout.Pipeline, busy / chunks);
        double passing = tokens / pipelines;
        // Dispatch in FP8 and combine in BF16, to at most LimitedGroups nodes of which one in eight is its own; once more backward.
        double routedBytes = 2.0 * passing * model.MoeLayers / layout.Pipeline * model.HiddenSize * 3 * model.LimitedGroups * 7 / 8;
        double boundaryBytes = layout.Pipeline == 1 ? 0 : 2.0 * passing * model.HiddenSize * 2;
        return new StepForecast(
            Math.Max(1, pipelines / contextParallel), chunks, busy, bubbles.Of(layout.Schedule), Calibration.OptimizerSeconds, bubbles,
            layout.Expert == 1 ? 0 : routedBytes / gpu.FabricBytesPerSecond, boundaryBytes / gpu.FabricBytesPerSecond);
    }

    /// <summary>Seconds that one GPU at its peaks needs to train one token.</summary>
    public static double RooflineSeconds(ModelShape model, Gpu gpu, Precision precision, int sequenceLength)
    {
        var flops = TokenFlops.Of(model, sequenceLength);
        // MTP has the parts of a layer: what is not core, gate or head runs in FP8 like the rest.
        double mtpHigh = flops.MtpCore + (model.MtpDepth * (flops.Head + (flops.Gate / Math.Max(1, model.MoeLayers))));
        double low = 3 * (flops.Fp8Forward + flops.Mtp - mtpHigh);
        return (low / (gpu.PeakTflops(precision) * 1e12)) + ((flops.Training - low) / (gpu.Bf16Tflops * 1e12));
    }
}

/// <summary>Bubbles of one step by schedule (report section 3.2.1, table 2), calibrated; in seconds.</summary>
public sealed record BubbleTable(double OneForwardOneBackward, double ZeroBubble, double DualPipe)
{
    public static BubbleTable Of(int pipeline, double chunkSeconds)
    {
        const double Backward = Calibration.InputBackward + Calibration.WeightBackward;
        double scale = chunkSeconds * Calibration.BubbleOverFormula;
        return new BubbleTable(
            (pipeline - 1) * (Calibration.Forward + Backward) * scale,
            (pipeline - 1) * (Calibration.Forward + Backward - (2 * Calibration.WeightBackward)) * scale,
            Math.Max(0, (pipeline / 2) - 1) * (Calibration.OverlappedForwardAndBackward + Backward - (3 * Calibration.WeightBackward)) * scale);
    }

    public double Of(PipelineSchedule schedule) => schedule switch
    {
        PipelineSchedule.OneForwardOneBackward => OneForwardOneBackward,
        PipelineSchedule.ZeroBubble => ZeroBubble,
        PipelineSchedule.DualPipe => DualPipe,
        _ => throw new UnreachableException($"schedule {schedule}"),
    };
}
