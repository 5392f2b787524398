using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using Sentences = DeepSeekOps.Decisions.Words;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <summary>By the ledger of every GPU's second.</summary>
internal static class OfCost
{
    public static readonly ImmutableArray<Question> All =
    [
        new("run-cost", "What has the run cost?", About.OneRun, Need.Run, Need.None,
        [
            "what did it cost", "how much does it cost", "how much money did the run take", "gpu hours of the run", "price of the run",
            "how expensive is it", "the bill", "how many dollars", "what did the run cost", "how many dollars did it burn",
        ], Cost),
        new("goodput", "Where have its GPU-hours gone?", About.OneRun, Need.Run, Need.None,
        [
            "goodput", "where did the gpu hours go", "where did the time go", "how much was productive", "what was wasted",
            "how much time was lost", "gpu time by bucket", "share of productive time", "how much gpu time was wasted",
        ], Gone),
    ];

    private static Answer Cost(Facts facts) => Booked(facts, (run, cost) => Answer
        .Of($"{run.Name} has cost {Hours(cost.GpuTime)} GPU-hours until now, {Money(cost)}")
        .With("goodput", cost.HasGoodput ? Words.Percent(cost.Goodput) : null)
        .With(run.Stages.Where(s => s.Cost is not null).Select(s => (s.Name, $"{Hours(s.Cost.GpuTime)} GPU-hours"
            + (s.Cost.HasDollars ? $", {CostText.Money(s.Cost.Dollars)}" : ""))))
        .With(Lost(cost)));

    private static Answer Gone(Facts facts) => Booked(facts, (run, cost) =>
    {
        var worst = cost.Buckets.Where(b => b.Name != "productive").MaxBy(b => b.GpuTime.ToTimeSpan());
        string rest = worst is null ? "" : $"; most of the rest is {worst.Words}, {Hours(worst.GpuTime)} GPU-hours ({worst.What})";
        string good = cost.HasGoodput ? $"{Words.Percent(cost.Goodput)} of {Hours(cost.GpuTime)} GPU-hours was productive"
            : "No step counts yet";
        return Answer.Of($"{good}{rest}")
            .With(cost.Buckets.Select(b => (b.Words, $"{Hours(b.GpuTime)} GPU-hours, {Share(b, cost)}"
                + (b.HasDollars ? $", {CostText.Money(b.Dollars)}" : ""))), 14)
            .With(Lost(cost));
    });

    private static Answer Booked(Facts facts, Func<Run, Cost, Answer> find)
    {
        var run = facts.Run!;
        return (run.Cost is { } cost ? find(run, cost)
                : Answer.Unknown($"{run.Name} has not asked for a GPU yet: it is {Places.Standing(run.State, run.Reason)}"))
            .See(Places.RunPage(run.Name), $"dsops cost {run.Name}");
    }

    private static IEnumerable<(string, string)> Lost(Cost cost) => cost.LostGpuHoursByCause.OrderByDescending(c => c.Value)
        .ThenBy(c => c.Key, StringComparer.Ordinal).Select(c => ($"to {c.Key}", $"{Sentences.GpuHours(c.Value)} GPU-hours"));

    private static string Share(CostBucket bucket, Cost cost) => cost.GpuTime.ToTimeSpan() is { Ticks: > 0 } all
        ? Words.Percent(bucket.GpuTime.ToTimeSpan() / all) : Words.None;

    private static string Hours(Google.Protobuf.WellKnownTypes.Duration time) => Sentences.GpuHours(time.ToTimeSpan().TotalHours);

    private static string Money(Cost cost) => cost.HasDollars ? CostText.Money(cost.Dollars) : "price not set";
}
