using System.Collections.Immutable;
using System.Diagnostics;
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
        var length = StageLength.Of(stage.Recipe);
        double tokens = StageLength.PlannedTokens(stage.Recipe);
        double bytes = ParameterCount.Of(shape).Total * (4.0 + (spec.Optimizer.Bf16Moments ? 4 : 8));
        double durable = bytes / (Calibration.CheckpointBytesPerNodeSecond * resources.Nodes);
        if (!Gpu.All.TryGetValue(resources.Gpu, out var gpu))
        {
            return new StageForecast(stage.Name, stage.Kind, resources.Nodes, resources.Ranks, length.Steps, tokens,
                TokenFlops.Of(shape, LongestSequence(stage.Recipe)).Training, null, null, bytes, durable, null, null, null);
        }
        var memory = MemoryForecast.Of(shape, spec, layout, resources.Ranks, ChunkTokens(stage.Recipe, layout), gpu);
        var scope = new Scope(spec.Precision, shape, gpu, layout, resources, memory.Optimizer);
        var (last, seconds, phases) = Seconds(stage.Recipe, tokens, length.Steps, scope, resources.Nodes);
        var duration = Span(seconds);
        var interval = Span(spec.CheckpointsOf(stage).EverySteps * Math.Max(seconds / length.Steps, 1e-3));
        var failures = FailureForecast.Of(
            resources.Nodes, resources.Ranks, duration, interval, Span(memory.Optimizer / Calibration.HostCopyBytesPerSecond),
                Span(durable));
        double flops = TokenFlops.Of(shape, LongestSequence(stage.Recipe)).Training;
        return new StageForecast(stage.Name, stage.Kind, resources.Nodes, resources.Ranks, length.Steps, tokens,
            flops, last, memory, bytes, durable, duration, failures, resources.DollarsPerGpuHour)
        {
            PhaseSeconds = phases,
            Mfu = Mfu.OfHours(flops, tokens, duration.TotalHours * resources.Ranks, gpu.Bf16Tflops),
        };
    }

    /// <summary>A plan of thousands of years is no plan, but it has to be told and not to end the call.</summary>
    private static TimeSpan Span(double seconds) => TimeSpan.FromSeconds(double.IsNaN(seconds) ? 0 : Math.Clamp(seconds, 0, 1e11));

    private static int LongestSequence(StageRecipe recipe) => recipe switch
    {
        StageRecipe.Pretraining p => p.SequenceLength,
        StageRecipe.ContextExtension c => c.Phases.Max(p => p.SequenceLength),
        // Sample masking: a token attends within its own sample, however long the packed row is.
        StageRecipe.SupervisedFineTuning s => (int)StageLength.Mean(s.SequenceLength),
        StageRecipe.ReinforcementLearning r => (int)StageLength.Mean(r.MaxNewTokens),
        StageRecipe.Distillation d => (int)StageLength.Mean(d.SequenceLength),
        _ => throw new UnreachableException($"recipe {recipe}"),
    };

    /// <summary>Tokens of one micro-batch on one rank. Packed rows are cut to 4096, DeepEP's batch, where they are longer.</summary>
    internal static double ChunkTokens(StageRecipe recipe, ParallelLayout layout) => recipe switch
    {
        StageRecipe.Pretraining p => (double)p.SequenceLength * layout.MicroBatch,
        StageRecipe.ContextExtension c => c.Phases.Max(p => (double)p.SequenceLength / p.ContextParallel) * layout.MicroBatch,
        StageRecipe.SupervisedFineTuning s => Math.Min(s.SequenceLength, 4096),
        StageRecipe.Distillation d => Math.Min(d.SequenceLength, 4096),
        _ => 4096,
    };

    private static (StepForecast Last, double Seconds, ImmutableArray<double> Phases) Seconds(
        StageRecipe recipe, double tokens, long steps, Scope scope, int nodes)
    {
        switch (recipe)
        {
            case StageRecipe.Pretraining p:
                // Time in passes goes with tokens, whatever the batch; bubble and optimizer are paid once per step.
                var full = scope.Step((double)p.BatchSize.To * p.SequenceLength, p.SequenceLength, ChunkTokens(p, scope.Layout), 1);
                return (full,
                    (full.BusySeconds * tokens / p.BatchSize.To / p.SequenceLength)
                    + (steps * (full.BubbleSeconds + full.OptimizerSeconds)), []);
            case StageRecipe.ContextExtension c:
                var phases = c.Phases.Select(p => (p.Steps, Step: scope.Step((double)p.BatchSize * p.SequenceLength, p.SequenceLength,
                    (double)p.SequenceLength / p.ContextParallel * scope.Layout.MicroBatch, p.ContextParallel))).ToArray();
                return (phases[^1].Step, phases.Sum(p => p.Steps * p.Step.Seconds), [.. phases.Select(p => p.Step.Seconds)]);
            default:
                var step = scope.Step(tokens / steps, LongestSequence(recipe), ChunkTokens(recipe, scope.Layout), 1);
                return (step, (steps * step.Seconds) + GeneratedSeconds(recipe, nodes), []);
        }
    }

    /// <summary>RL waits for each rollout's outputs, together; distillation's samples are drawn at the nodes' full throughput.</summary>
    private static double GeneratedSeconds(StageRecipe recipe, int nodes) => recipe switch
    {
        StageRecipe.ReinforcementLearning r => r.Steps * Math.Max(
            StageLength.Mean(r.MaxNewTokens) / Calibration.DecodedTokensPerSecond,
            (double)r.Questions * r.GroupSize * StageLength.Mean(r.MaxNewTokens) / (nodes * Calibration.DecodedTokensPerNodeSecond)),
        StageRecipe.Distillation d => d.Samples * StageLength.Mean(d.SequenceLength) / (nodes * Calibration.DecodedTokensPerNodeSecond),
        _ => 0,
    };

    private sealed record Scope(Precision Precision, ModelShape Shape, Gpu Gpu, ParallelLayout Layout, ResourceSpec Resources,
        double OptimizerBytes)
    {
        public StepForecast Step(double tokens, int sequenceLength, double chunkTokens, int contextParallel) =>
            StepForecast.Of(Shape, Gpu, Precision, Layout, Resources, tokens, sequenceLength, chunkTokens, contextParallel, OptimizerBytes);
    }
}
