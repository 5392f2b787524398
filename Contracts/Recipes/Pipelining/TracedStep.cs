namespace DeepSeekOps.Recipes.Pipelining;

/// <summary>What the ranks of a gang say of one step together. Seconds.</summary>
/// <param name="Seconds">From its first rank's begin to its last rank's end.</param>
/// <param name="Bubbles">
/// By rank: of the time between the gang's first task and its last, what the rank computed nothing in. It waited for a neighbour then, or
/// had nothing to do.
/// </param>
/// <param name="Formula">The published bubble of this schedule with these chunks; 0 where there is no pipeline.</param>
/// <param name="Collectives">By rank: in collective calls, waiting included.</param>
public sealed record TracedStep(double Seconds, IReadOnlyList<double> Bubbles, double Formula, IReadOnlyList<double> Collectives)
{
    /// <param name="ranks">Each rank's spans, of any number of steps, by one clock.</param>
    /// <param name="pipeline">Ranks of one pipeline; 1: there is none.</param>
    public static IReadOnlyList<TracedStep> Of(IReadOnlyList<IReadOnlyList<Span>> ranks, PipelineSchedule schedule, int pipeline)
    {
        var steps = ranks.Select(spans => spans.Where(s => s.Kind == SpanKinds.Step).OrderBy(s => s.Began).ToList()).ToList();
        return [.. Enumerable.Range(0, steps.Min(s => s.Count)).Select(number => Of(
            [.. ranks.Zip(steps, (spans, own) => RankStep.Of(number + 1, own[number], spans))], schedule, pipeline))];
    }

    /// <param name="ranks">Of one step, by one clock.</param>
    public static TracedStep Of(IReadOnlyList<RankStep> ranks, PipelineSchedule schedule, int pipeline)
    {
        var passed = ranks.Where(r => r.PassesEnded > 0).ToList();
        double passes = passed.Count == 0 ? 0 : (passed.Max(r => r.PassesEnded) - passed.Min(r => r.PassesBegan)) / 1e9;
        double weights = ranks.Average(r => r.Weights);
        double backward = ranks.Average(r => r.Backward) + weights;
        return new TracedStep(
            (ranks.Max(r => r.Ended) - ranks.Min(r => r.Began)) / 1e9, [.. ranks.Select(r => passes - r.Busy)],
            pipeline == 1 ? 0 : BubbleFormula.Of(schedule, pipeline, ranks.Average(r => r.Forward), backward, weights),
            [.. ranks.Select(r => r.Collectives)]);
    }
}
