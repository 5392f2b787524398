using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Throughput;

namespace DeepSeekOps.Decisions.Health;

/// <summary>What follows from two samples and stands in neither.</summary>
public static class Pace
{
    private const string TokensPerSecond = "tokens_per_second";

    /// <summary>What the worker measured of its own device, where no datasheet knows it (a laptop's CPU).</summary>
    private const string PeakTflops = "peak_tflops";

    /// <summary>
    /// Adds tokens per second, and MFU where the device's peak is known, to samples in the order of their steps, where the step
    /// before is known.
    /// </summary>
    /// <param name="before">The last sample before them. Null: unknown.</param>
    public static ImmutableArray<StepSample> AddTo(ImmutableArray<StepSample> samples, StepSample? before, PipelineSpec pipeline,
        string stage)
    {
        var paced = ImmutableArray.CreateBuilder<StepSample>(samples.Length);
        foreach (var sample in samples.OrderBy(s => s.Attempt).ThenBy(s => s.Step))
        {
            bool follows = before is not null && sample.Step == before.Step + 1 && sample.Tokens > before.Tokens && sample.StepSeconds > 0;
            // What was only passed over is no throughput: it would stand on the page as fifteen times the device's peak.
            follows &= sample.Learned;
            bool told = sample.Extra.ContainsKey(TokensPerSecond);
            paced.Add(follows && !told
                ? WithPace(sample, (sample.Tokens - before!.Tokens) / sample.StepSeconds, pipeline, stage) : sample);
            before = sample;
        }

        return paced.MoveToImmutable();
    }

    private static StepSample WithPace(StepSample sample, double tokensPerSecond, PipelineSpec pipeline, string stage)
    {
        var extra = sample.Extra.SetItem(TokensPerSecond, tokensPerSecond);
        double? measuredPeak = sample.Extra.TryGetValue(PeakTflops, out double peak) && peak > 0 ? peak : null;
        var known = pipeline.Stages.FirstOrDefault(s => s.Name == stage);
        return known is not null && Mfu.Live(pipeline, known, sample.Step, tokensPerSecond, measuredPeak) is { } mfu
            ? sample with { Extra = extra.SetItem("mfu", mfu) }
            : sample with { Extra = extra };
    }
}
