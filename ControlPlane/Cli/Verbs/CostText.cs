using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Sentences = DeepSeekOps.Decisions.Words;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>Where GPU time went, on a terminal.</summary>
internal static class CostText
{
    private static readonly Column[] Buckets =
    [
        new("GPU TIME", 1), new("GPU-HOURS", 1, Right: true), new("SHARE", 2, Right: true), new("MONEY", 3, Right: true),
        new("WHAT IT WAS", 4, Flexible: true),
    ];

    private static readonly Column[] Stages =
    [
        new("STAGE", 1), new("GPUS", 4, Right: true), new("GPU-HOURS", 1, Right: true), new("GOODPUT", 2, Right: true),
        new("MONEY", 3, Right: true),
    ];

    private static readonly Column[] Causes = [new("CAUSE", 1), new("GPU-HOURS", 1, Right: true), new("MONEY", 2, Right: true)];

    public static string Money(double dollars) => dollars.ToString(dollars < 100 ? "$#,0.00" : "$#,0", CultureInfo.InvariantCulture);

    /// <summary>"goodput 97.3 % of 12.4 GPU-hours, $26.04; 0.2 GPU-hours to rank exited".</summary>
    public static string Line(Cost cost)
    {
        double hours = cost.GpuTime.ToTimeSpan().TotalHours;
        string share = cost.HasGoodput ? Words.Percent(cost.Goodput) : Words.None;
        var worst = cost.LostGpuHoursByCause.OrderByDescending(c => c.Value).ThenBy(c => c.Key, StringComparer.Ordinal).FirstOrDefault();
        string lost = worst.Value > 0 ? $"; {Sentences.GpuHours(worst.Value)} GPU-hours to {worst.Key}" : "";
        string price = cost.HasDollars ? Money(cost.Dollars) : "price not set";
        return $"goodput {share} of {Sentences.GpuHours(hours)} GPU-hours, {price}{lost}";
    }

    public static void Write(Terminal terminal, Run run)
    {
        string label = run.Simulated ? "Simulated: " : "";
        if (run.Cost is not { } cost)
        {
            terminal.Output.WriteLine(Columns.Clean($"{run.Name} has not asked for a GPU yet. It is {run.State}: {run.Reason}"));
            return;
        }

        foreach (string line in Columns.Wrap(Columns.Clean($"{label}{run.Name}: {Line(cost)}"), terminal.Width))
        {
            terminal.Output.WriteLine(line);
        }

        terminal.Output.WriteLine();
        double all = cost.GpuTime.ToTimeSpan().TotalHours;
        Columns.Write(terminal, Buckets,
        [
            .. cost.Buckets.Select(b => (IReadOnlyList<string>)[b.Words, Sentences.GpuHours(b.GpuTime.ToTimeSpan().TotalHours),
                Words.Percent(b.GpuTime.ToTimeSpan().TotalHours / all), b.HasDollars ? Money(b.Dollars) : Words.None, b.What]),
            ["all", Sentences.GpuHours(all), Words.Percent(1), cost.HasDollars ? Money(cost.Dollars) : "not set",
                "GPUs × time asked for or held"],
        ]);
        terminal.Output.WriteLine();
        Columns.Write(terminal, Stages, [.. run.Stages.Where(s => s.Cost is not null).Select(s => (IReadOnlyList<string>)[s.Name,
            s.Cost.Gpus.ToString(CultureInfo.InvariantCulture), Sentences.GpuHours(s.Cost.GpuTime.ToTimeSpan().TotalHours),
            s.Cost.HasGoodput ? Words.Percent(s.Cost.Goodput) : Words.None, s.Cost.HasDollars ? Money(s.Cost.Dollars) : Words.None])]);
        WriteCauses(terminal, cost);
        foreach (var period in cost.Unknown)
        {
            terminal.Output.WriteLine(Columns.Clean($"unknown: {period.Stage}, {Words.Moment(period.From.ToDateTimeOffset())} to "
                + $"{Words.Moment(period.To.ToDateTimeOffset())}: {period.Why}"));
        }
    }

    private static void WriteCauses(Terminal terminal, Cost cost)
    {
        if (cost.LostGpuHoursByCause.Count > 0)
        {
            terminal.Output.WriteLine();
            Columns.Write(terminal, Causes, [.. cost.LostGpuHoursByCause.OrderByDescending(c => c.Value)
                .ThenBy(c => c.Key, StringComparer.Ordinal).Select(c => (IReadOnlyList<string>)[c.Key, Sentences.GpuHours(c.Value),
                    cost.HasDollarsPerGpuHour ? Money(c.Value * cost.DollarsPerGpuHour) : Words.None])]);
        }
    }
}
