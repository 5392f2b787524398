using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Throughput;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>Duration of a stage from its steps.</summary>
internal static class StageForecasts
{
    public static StageForecast Of(PipelineSpec spec, StageSpec stage)
    {
        var resources = spec.ResourcesOf(stage);
        var layout = spec.ParallelismOf(stage);
        var shape = spec.ShapeAfter(stage);
        var length = stage.Recipe.Length();
        double tokens = stage.Recipe.PlannedTokens();
        var segments = stage.Recipe.Segments(layout, resources.Ranks);
        double flops = TokenFlops.Of(shape, segments.Max(s => s.Attends)).Training;
        double bytes = CheckpointSize.Of(spec, stage);
        double durable = bytes / (Calibration.CheckpointBytesPerNodeSecond * resources.Nodes);
        if (!Gpu.All.TryGetValue(resources.Gpu, out var gpu))
        {
            return new StageForecast(stage.Name, stage.Kind, resources.Nodes, resources.Ranks, length.Steps, tokens,
                flops, null, null, bytes, durable, null, null, null);
        }
        var memory = MemoryForecast.Of(shape, spec, layout, resources.Ranks, segments.Max(s => s.ChunkTokens), gpu);
        var scope = new Scope(spec.Precision, shape, gpu, layout, resources, memory.Optimizer);
        ImmutableArray<StepForecast> steps = [.. segments.Select(scope.Step)];
        double sampling = Seconds(stage.Recipe.Sampled(), resources.Nodes);
        double seconds = segments.Zip(steps, Seconds).Sum() + sampling;
        var duration = Span(seconds);
        var interval = Span(spec.CheckpointsOf(stage).EverySteps * Math.Max(seconds / length.Steps, 1e-3));
        var failures = FailureForecast.Of(
            resources.Nodes, resources.Ranks, duration, interval, Span(memory.Optimizer / Calibration.HostCopyBytesPerSecond),
                Span(durable));
        return new StageForecast(stage.Name, stage.Kind, resources.Nodes, resources.Ranks, length.Steps, tokens,
            flops, steps[^1], memory, bytes, durable, duration, failures, resources.DollarsPerGpuHour)
        {
            SegmentSteps = steps,
            SamplingSeconds = sampling,
            Mfu = Mfu.OfHours(flops, tokens, duration.TotalHours * resources.Ranks, gpu.Bf16Tflops),
        };
    }

    /// <summary>A plan of thousands of years is no plan, but it has to be told and not to end the call.</summary>
    private static TimeSpan Span(double seconds) => TimeSpan.FromSeconds(double.IsNaN(seconds) ? 0 : Math.Clamp(seconds, 0, 1e11));

    /// <summary>Time in passes goes with tokens, whatever the batch; bubble and optimizer are paid once per step.</summary>
    private static double Seconds(StageSegment segment, StepForecast step) =>
        (step.BusySeconds * segment.Tokens / segment.StepTokens) + (segment.Steps * (step.BubbleSeconds + step.OptimizerSeconds));

    private static double Seconds(SampledOutputs sampled, int nodes)
    {
        double throughput = nodes * Calibration.DecodedTokensPerNodeSecond;
        return sampled.Rounds == 0 ? sampled.Outputs * sampled.MeanTokens / throughput : sampled.Rounds * Math.Max(
            sampled.MeanTokens / Calibration.DecodedTokensPerSecond, sampled.Outputs / sampled.Rounds * sampled.MeanTokens / throughput);
    }

    private sealed record Scope(
        Precision Precision, ModelShape Shape, Gpu Gpu, ParallelLayout Layout, ResourceSpec Resources, double OptimizerBytes)
    {
        public StepForecast Step(StageSegment segment) => StepForecast.Of(Shape, Gpu, Precision, Layout, Resources, segment.StepTokens,
            segment.Attends, segment.ChunkTokens, segment.ContextParallel, OptimizerBytes);
    }
}
