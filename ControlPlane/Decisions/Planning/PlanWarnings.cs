using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Pipelining;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>What a senior engineer would say about a plan.</summary>
internal static class PlanWarnings
{
    // Ours: what the forecast leaves out (fragments, NCCL's buffers, the CUDA context) is some GB of 80.
    private const double CrowdedMemory = 0.9;

    // Ours: twice the 10.3 % that the published step of DeepSeek-V3 stands idle (2.06 of 19.93 s:
    // Insights into DeepSeek-V3, ISCA 2025, arXiv 2505.09343, table 4).
    private const double LargeBubble = 0.2;

    public static IEnumerable<string> Of(PipelineSpec spec, StageSpec stage, StageForecast forecast)
    {
        if (forecast.LastStep is not { } step || forecast.Memory is not { } memory || forecast.Failures is not { } failures)
        {
            yield return $"{stage.Name}: no GPU is named, so there is no time, memory or price. Add 'resources: {{gpu: h800}}'.";
            yield break;
        }
        var layout = spec.ParallelismOf(stage);
        if (memory.Total > memory.Capacity * CrowdedMemory)
        {
            yield return Say(stage,
                $"about {memory.Total / 1e9:0} GB of {memory.Capacity / 1e9:0} GB per GPU; more pipeline or expert "
                    + "ranks, or ZeRO, make room.");
        }
        var last = stage.Recipe.Segments(layout, spec.ResourcesOf(stage).Ranks)[^1];
        if (Counts(last, step).Select(count => PipelineSchedules.CountProblem(layout.Schedule, layout.Pipeline, count))
            .FirstOrDefault(p => p is not null) is { } problem)
        {
            yield return Say(stage, $"{(last.Ramp is null ? "" : "during its batch ramp ")}{problem.Message} {problem.Fix}");
        }
        if (step.BubbleShare > LargeBubble)
        {
            yield return Say(stage,
                $"{step.BubbleShare:0 %} of a step is bubble; larger batches or a shorter pipeline use the GPUs better.");
        }
        if (spec.ResourcesOf(stage) is { Nodes: > 1 } on && layout.Expert > 1 && !ExpertTraffic.IsEvenlyCut(layout.Expert, on.RanksPerNode))
        {
            yield return Say(stage,
                $"nodes of {on.RanksPerNode} ranks cut the {layout.Expert} that share experts (parallelism.expert) unevenly, so tokens go "
                    + $"to each rank by itself; write a multiple or a divisor of {on.RanksPerNode}.");
        }
        if (step.AllToAllSeconds > step.BusySeconds)
        {
            yield return Say(stage,
                $"expert traffic takes {Words.Duration(TimeSpan.FromSeconds(step.AllToAllSeconds))} of fabric time, more than the "
                    + $"{Words.Duration(TimeSpan.FromSeconds(step.BusySeconds))} that could hide it.");
        }
        var interval =
            TimeSpan.FromSeconds(spec.CheckpointsOf(stage).EverySteps * (forecast.Duration!.Value.TotalSeconds / forecast.Steps));
        if (interval > 4 * failures.BestInterval && failures.ExpectedFailures > 0.5)
        {
            yield return Say(stage,
                $"a checkpoint every {interval.TotalMinutes:0} min loses much at a failure; "
                    + $"{failures.BestInterval.TotalMinutes:0.#} min would be best.");
        }
        if (interval.TotalSeconds < forecast.CheckpointSeconds)
        {
            yield return Say(stage,
                $"a checkpoint takes {forecast.CheckpointSeconds:0} s to be durable, longer than the "
                    + $"{interval.TotalSeconds:0} s to the next one.");
        }
    }

    /// <summary>
    /// Whole micro-batches of a step: of the smallest, of the next larger one of a ramp, and of the largest. What a ramp passes in between
    /// is odd where one of these is.
    /// </summary>
    private static IEnumerable<int> Counts(StageSegment last, StepForecast step)
    {
        int Count(double tokens) => (int)Math.Min(int.MaxValue, step.Chunks * tokens / last.StepTokens);
        if (last.Ramp is var (batch, length))
        {
            yield return Count(last.TokensOfStep(0));
            yield return Count(last.TokensOfStep(0) + (batch.From < batch.To ? (double)batch.Grain() * length : 0));
        }
        yield return Count(last.StepTokens);
    }

    // All programs run with the invariant culture alone (Directory.Build.props), so numbers in words are written in one way.
    private static string Say(StageSpec stage, string text) => $"{stage.Name}: {text}";
}
