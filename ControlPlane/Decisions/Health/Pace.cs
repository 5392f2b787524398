using System.Collections.Immutable;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.Decisions.Health;

/// <summary>What follows from two samples and stands in neither.</summary>
public static class Pace
{
    /// <summary>Adds tokens per second to samples in the order of their steps, where the step before is known.</summary>
    /// <param name="before">The last sample before them. Null: unknown.</param>
    public static ImmutableArray<StepSample> AddTo(ImmutableArray<StepSample> samples, StepSample? before)
    {
        var paced = ImmutableArray.CreateBuilder<StepSample>(samples.Length);
        foreach (var sample in samples.OrderBy(s => s.Attempt).ThenBy(s => s.Step))
        {
            bool follows = before is not null && sample.Step == before.Step + 1 && sample.Tokens > before.Tokens && sample.StepSeconds > 0;
            bool told = sample.Extra.ContainsKey("tokens_per_second");
            paced.Add(follows && !told
                ? sample with { Extra = sample.Extra.Add("tokens_per_second", (sample.Tokens - before!.Tokens) / sample.StepSeconds) } : sample);
            before = sample;
        }

        return paced.MoveToImmutable();
    }
}
