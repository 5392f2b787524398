using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Pipelining;

namespace DeepSeekOps.Decisions.Tracing;

/// <summary>Where a step went, in seconds; of several steps or ranks the mean.</summary>
/// <param name="Compute">What is in no call: forward, backward, update, reading data.</param>
/// <param name="Collectives">In collective calls, the waiting for others included.</param>
/// <param name="Sends">Handing over what neighbours are sent.</param>
/// <param name="Waits">Until what a neighbour sends was there.</param>
/// <param name="Bubble">Of the time between the gang's first task and its last, what the rank was in no task, or waited in one.</param>
public sealed record StepParts(double Compute, double Collectives, double Sends, double Waits, double Bubble)
{
    public static StepParts Of(RankStep step, double bubble) => new(step.Compute, step.Collectives, step.Sends, step.Waits, bubble);

    public static StepParts Mean(IReadOnlyCollection<StepParts> of) => new(
        of.Average(p => p.Compute), of.Average(p => p.Collectives), of.Average(p => p.Sends), of.Average(p => p.Waits),
        of.Average(p => p.Bubble));
}

/// <summary>A rank that is drawn.</summary>
/// <param name="Spans">By the common clock. Null: they did not come.</param>
public sealed record TracedRank(int Rank, string Node, TracePlace Place, StepParts Parts, RankSpans? Spans);

/// <summary>All ranks at one place of the pipeline, where not each is drawn.</summary>
public sealed record TracedPlace(int Pipeline, int Ranks, StepParts Parts);

/// <summary>Steps of a stage as its ranks recorded them.</summary>
/// <param name="Ranks">Of the whole gang.</param>
/// <param name="StepSeconds">From the gang's first begin to its last end; the mean of the steps.</param>
/// <param name="Parts">The mean of all ranks.</param>
/// <param name="Formula">The published bubble with the chunks that were measured; 0 where there is no pipeline.</param>
/// <param name="Slowest">The rank that computed longest, for which the others wait.</param>
/// <param name="Drawn">All of few ranks; of many one for each place of the pipeline, and the slowest.</param>
/// <param name="Places">Empty where all are drawn.</param>
public sealed record StageTrace(
    long Id, StageId Stage, int Attempt, DateTimeOffset At, long FirstStep, int Steps, int Ranks, ParallelLayout Layout,
    double StepSeconds, StepParts Parts, double Formula, int Slowest, ImmutableArray<TracedRank> Drawn,
    ImmutableArray<TracedPlace> Places, ImmutableArray<ClockOffset> Clocks)
{
    /// <summary>Newest ones that are kept with a run.</summary>
    public const int KeptOfRun = 8;

    /// <summary>Not measured on real machines.</summary>
    public bool Simulated { get; init; }

    /// <param name="recorded">Of every rank, with as many steps each.</param>
    /// <param name="nodeOf">Of a rank.</param>
    /// <param name="contextOf">Ranks that share one sequence in a step; null: nobody ever does.</param>
    public static StageTrace Of(
        TraceOrder order, StageId stage, DateTimeOffset at, ParallelLayout layout, IReadOnlyCollection<RankTrace> recorded,
        Func<int, string> nodeOf, Func<long, int>? contextOf = null)
    {
        var clocks = ClockOffset.Of(recorded, nodeOf);
        var offsets = clocks.ToDictionary(c => c.Clock, c => c.Nanoseconds);
        var ranks = recorded.OrderBy(r => r.Rank).ToList();
        int steps = ranks.Min(r => r.Steps.Length);
        var whole = Enumerable.Range(0, steps).Select(i => TracedStep.Of(
            [.. ranks.Select(r => r.Steps[i].Moved(offsets[r.Clock]))], layout.Schedule, Math.Max(1, layout.Pipeline))).ToList();
        var parts = ranks.Select((rank, place) => StepParts.Mean(
            [.. rank.Steps.Take(steps).Zip(whole, (own, all) => StepParts.Of(own, all.Bubbles[place]))])).ToList();
        int slowest = Enumerable.Range(0, ranks.Count).MaxBy(i => parts[i].Compute);
        int context = contextOf?.Invoke(ranks[0].Steps[0].Step) ?? 1;
        var places = ranks.Select(r => TracePlace.Of(r.Rank, ranks.Count, layout, context)).ToList();
        var drawn = ranks.Select((rank, i) => new TracedRank(rank.Rank, nodeOf(rank.Rank), places[i], parts[i],
                rank.Spans is { } spans ? spans with { From = spans.From + offsets[rank.Clock] } : null))
            .Where(rank => ranks.Count <= TraceOrder.RanksInFull || rank.Rank == ranks[slowest].Rank || order.Ranks.Contains(rank.Rank));
        return new StageTrace(
            order.Id, stage, order.Attempt, at, ranks[0].Steps[0].Step, steps, ranks.Count, layout, whole.Average(s => s.Seconds),
            StepParts.Mean(parts), whole.Average(s => s.Formula), ranks[slowest].Rank, [.. drawn],
            ranks.Count <= TraceOrder.RanksInFull ? [] : [.. places.Zip(parts).GroupBy(p => p.First.Pipeline).OrderBy(p => p.Key)
                .Select(p => new TracedPlace(p.Key, p.Count(), StepParts.Mean([.. p.Select(one => one.Second)])))],
            clocks);
    }

    /// <summary>The rank for which the others wait: it is drawn too.</summary>
    public static int SlowestOf(IEnumerable<RankTrace> ranks) => ranks.MaxBy(r => r.Steps.Sum(s => s.Compute))!.Rank;
}
