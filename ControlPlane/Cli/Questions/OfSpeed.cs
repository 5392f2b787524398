using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <summary>When it ends, and how fast it is.</summary>
internal static class OfSpeed
{
    /// <summary>Of an incident that names a slow rank; <see cref="Decisions.Health.SlowRank.Cause"/>.</summary>
    private const string SlowRank = Decisions.Health.SlowRank.Cause;

    /// <summary>
    /// Slower is what takes a quarter longer, as of a rank among its like (docs/decisions/0044): steps of one run scatter by some percent.
    /// </summary>
    private const double AQuarter = 1.25;

    /// <summary>Of the few steps that are looked at, so many have to be there: a median of two is no median.</summary>
    private const int StepsLeast = 3;

    public static readonly ImmutableArray<Question> All =
    [
        new("when-ends", "When does it end?", About.OneRun, Need.Run, Need.None,
        [
            "when will it finish", "when is it done", "when will it end", "how long does it still take", "time left", "eta",
            "how long is left", "remaining time", "how long until it is done", "how much time is left", "when will it be ready",
            "when is training finished",
        ], Ends),
        new("how-fast", "How fast is it?", About.OneRun, Need.Run, Need.Series,
        [
            "tokens per second", "what is its throughput", "how many tokens per second", "step time", "how long does a step take",
            "what is the speed", "training speed", "what is the current throughput",
        ], Fast),
        new("mfu", "What is its MFU?", About.OneRun, Need.Run, Need.None,
        [
            "mfu", "model flops utilization", "flops utilisation", "how well are the gpus used", "gpu utilization",
            "how efficient is it", "how good is gpu utilization",
        ], Mfu),
        new("slower", "Is it slower than before?", About.OneRun, Need.Run | Need.Pace, Need.None,
        [
            "did it get slower", "has it slowed down", "is it slow", "why is it slow", "did the speed drop", "did throughput drop",
            "did throughput go down", "has it become slower", "is it as fast as before", "performance regression",
            "is training slower today",
        ], Slower),
        new("slowest-rank", "Which rank is slowest?", About.OneRun, Need.Run | Need.Incidents, Need.Trace,
        [
            "which rank is slow", "is there a straggler", "who is the straggler", "slowest gpu", "which node is slow", "stragglers",
            "which rank holds the others up", "which rank is lagging",
        ], Slowest),
        new("data-starved", "Is it starved of data?", About.OneRun, Need.Run, Need.Trace,
        [
            "does it wait for data", "is the data loader slow", "is the dataloader too slow", "is data starving it",
            "is it input bound", "data loading time", "is reading data the bottleneck", "is it waiting for input",
            "are the gpus waiting for input data",
        ], Starved),
    ];

    private static Answer Ends(Facts facts)
    {
        var run = facts.Run!;
        var answer = run.EndedAt is { } ended ? Answer.Of($"{run.Name} has ended: {run.State} {Places.Ago(ended, facts)}")
                .With("ended", Words.Moment(ended.ToDateTimeOffset())).With("reason", run.Reason)
            : run.Forecast is { } forecast ? Answer.Of($"{run.Name} {Words.Forecast(forecast, facts.Now, run.Simulated)}")
            : Answer.Unknown(run.State == "running" ? $"too few steps of {run.Name} were measured to forecast its end"
                : $"{run.Name} makes no steps: it is {Places.Standing(run.State, run.Reason)}");
        return answer.With(run.Stages.Where(s => s.Remaining is not null)
            .Select(s => (s.Name, $"{Words.Time(s.Remaining.ToTimeSpan())} left"
                + (s.RemainingLow is null ? "" : $" ({Span(s.RemainingLow)} to {Span(s.RemainingHigh)})"))))
            .See(Places.RunPage(run.Name), $"dsops show {run.Name}");
    }

    private static Answer Fast(Facts facts) => At(facts, stage => !stage.HasTokensPerSecond
        ? Answer.Unknown("no two steps were told one after the other yet")
        : Answer.Of($"{facts.Name}/{stage.Name} {(stage.State == "running" ? "makes" : "made")} "
                + $"{Words.Count(stage.TokensPerSecond)} tokens/s")
            .With("step time", facts.Series?.FirstOrDefault(s => s.Stage == stage.Name && s.Name == "step_seconds") is { } step
                ? Words.Time(TimeSpan.FromSeconds(double.IsFinite(step.Last) ? Math.Clamp(step.Last, 0, 1e9) : 0)) : null)
            .With("MFU", stage.HasMfu ? Words.Percent(stage.Mfu) : null)
            .With("step", Words.Steps(stage.Step, stage.TotalSteps)));

    private static Answer Mfu(Facts facts) => At(facts, stage => !stage.HasMfu
        ? Answer.Unknown($"none was told of {stage.Name}: it has made no two steps, or the peak of its device is not known")
        : Answer.Of($"MFU of {facts.Name}/{stage.Name} is {Words.Percent(stage.Mfu)}")
            .With("tokens/s", stage.HasTokensPerSecond ? Words.Count(stage.TokensPerSecond) : null)
            .With("of", "the peak of its device, by the formula in docs/performance.md"));

    private static Answer Slower(Facts facts) => At(facts, stage =>
    {
        var (before, now) = (facts.PaceBefore ?? [], facts.PaceNow ?? []);
        if (before.Count < StepsLeast || now.Count < StepsLeast)
        {
            return Answer.Unknown($"{stage.Name} has too few steps with a speed to compare: it is at step {Places.Whole(stage.Step)}");
        }

        var (was, isNow) = (Median(before), Median(now));
        string sentence = was > isNow * AQuarter ? $"Yes: {Words.Count(isNow)} tokens/s now and {Words.Count(was)} halfway"
            : isNow > was * AQuarter ? $"No, it is faster: {Words.Count(isNow)} tokens/s now and {Words.Count(was)} halfway"
            : $"No: {Words.Count(isNow)} tokens/s now and {Words.Count(was)} halfway, less than a quarter apart";
        return Answer.Of(sentence).With("now", $"median of {Steps(now)}").With("halfway", $"median of {Steps(before)}")
            .With("stage", stage.Name);
    });

    private static Answer Slowest(Facts facts)
    {
        var run = facts.Run!;
        var named = facts.Incidents!.Incidents.FirstOrDefault(i => i.Diagnosis?.Cause == SlowRank && i.State != "closed");
        var trace = facts.Trace is { Ranks: > 1 } known ? known : null;
        string recorded = trace is null ? ""
            : $"rank {Places.Whole(trace.Slowest)} computed longest in step {Places.Whole(trace.FirstStep)}";
        var answer = named is not null
                ? Answer.Of(named.Sentence).With("incident", Verbs.MorningReport.Id(named))
                    .See(Places.IncidentPage(named), Places.Why(named))
            : facts.Stage is { } stage && Ranks(stage) == 1 ? Answer.Of($"{run.Name}/{stage.Name} has one rank: no other waits for it")
            : trace is not null ? Answer.Of($"No rank is a quarter slower than its like; {recorded}")
            : run.Simulated ? Answer.Unknown("no rank is named as slow, and steps of simulated ranks cannot be recorded")
            : Answer.Unknown($"no rank is named as slow, and no step was recorded: `dsops trace {run.Name}` records two");
        return answer.With("recorded", trace is null ? null : $"{recorded}, {Places.Ago(trace.At, facts)}")
            .See(Places.RunPage(run.Name), trace is null ? $"dsops show {run.Name} --ranks" : $"dsops trace {run.Name} --kept");
    }

    private static Answer Starved(Facts facts) => Answer
        .Unknown("what a rank waits for data is not measured by itself: a recorded step has it within what it computes")
        .With("computing", facts.Trace is { StepSeconds: > 0 } trace
            ? $"{Words.Percent(trace.Parts.Compute / trace.StepSeconds)} of step {Places.Whole(trace.FirstStep)}, reading data included"
                : null)
        .See(Places.RunPage(facts.Name), $"dsops trace {facts.Name}{(facts.Trace is null ? "" : " --kept")}");

    private static Answer At(Facts facts, Func<Stage, Answer> find) =>
        (facts.Stage is { } stage ? find(stage) : Answer.Unknown($"{facts.Name} has no stage"))
        .See(Places.RunPage(facts.Name), $"dsops show {facts.Name}");

    private static int Ranks(Stage stage) => stage.Ranks.Count + stage.RankGroups.Sum(group => group.Ranks);

    private static string Span(Duration span) => Words.Time(span.ToTimeSpan());

    private static string Steps(IReadOnlyList<Speed> speeds) =>
        $"{Places.Whole(speeds.Count)} steps, {Places.Whole(speeds.Min(s => s.Step))} to {Places.Whole(speeds.Max(s => s.Step))}";

    private static double Median(IReadOnlyList<Speed> speeds)
    {
        double[] sorted = [.. speeds.Select(s => s.TokensPerSecond).Order()];
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }
}
