using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>When a run will have ended, from now on.</summary>
/// <param name="Low">It ends sooner once in ten times.</param>
/// <param name="High">It ends later once in ten times.</param>
/// <param name="Basis">Where the figures come from, in words.</param>
public sealed record RunForecast(TimeSpan Left, TimeSpan Low, TimeSpan High, string Basis)
{
    /// <summary>It has not ended, and nobody wants it to stand still.</summary>
    public static bool Goes(Run run) => !run.Phase.Terminal && run.Intent == Intent.Train && run.Phase is not RunPhase.Paused;

    /// <summary>
    /// Null: the run has ended or stands still by a person's wish or under a hold without an end, nobody can tell when it gets its nodes,
    /// or a stage of it can neither be measured nor planned.
    /// </summary>
    /// <param name="stages">What each stage still takes; null: nothing says it.</param>
    public static RunForecast? Of(Run run, ImmutableArray<StageOutlook?> stages, ImmutableArray<StageReport?> reports, DateTimeOffset now)
    {
        var waits = run.Current < reports.Length && reports[run.Current]?.View is { State: "queued" } queued ? queued : null;
        var hold = run.Current < reports.Length ? reports[run.Current]?.View.Stands : null;
        // Nobody can tell when a person who has not said it lets go of what stands still.
        if (hold is { Until: null } || !Goes(run) || stages.Skip(run.Current).Any(s => s is null)
            || (waits?.Pending is { } pending && pending.Eta is null))
        {
            return null;
        }

        var (left, low, high) = (TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero);
        foreach (var stage in stages.Skip(run.Current).OfType<StageOutlook>())
        {
            (left, low, high) = (left + stage.Likely, low + stage.Low, high + stage.High);
        }

        if (waits?.Pending?.Eta is { } start)
        {
            (left, low, high) = (left + Until(start.Likely), low + Until(start.Earliest), high + Until(start.Latest));
        }

        if (hold?.Until is { } released)
        {
            (left, low, high) = (left + Until(released), low + Until(released), high + Until(released));
        }

        string held = hold is null ? "" : $"{hold.InWords}, and from then on ";
        return new RunForecast(left, low, high, $"{held}{InWords(run, stages)}");

        TimeSpan Until(DateTimeOffset at) => at > now ? at - now : TimeSpan.Zero;
    }

    /// <summary>
    /// What each stage still takes: measured where it trains, else by the plan as the measured stages of the run bear it out.
    /// </summary>
    public static ImmutableArray<StageOutlook?> Stages(Run run, ImmutableArray<StageReport?> reports)
    {
        // A scale holds for plans in the same unit: seconds of a GPU, or operations of whatever trains here.
        var scales = new Dictionary<bool, double>();
        for (int i = 0; i < run.Stages.Length; i++)
        {
            if (run.Stages[i].Round > 0 && i < reports.Length && reports[i]?.View.Outlook is { Scale: { } scale, StepsMeasured: > 0 })
            {
                scales[InSeconds(run, i)] = scale;
            }
        }

        return [.. run.Stages.Select((s, i) => i < run.Current ? null
            : s.Round > 0 && i < reports.Length && reports[i]?.View.Outlook is { } measured ? measured
            : StageOutlook.ByPlan(run.Pipeline, s.Work.Name, scales.TryGetValue(InSeconds(run, i), out double scale) ? scale : null))];
    }

    private static bool InSeconds(Run run, int stage) => StageCourse.Of(run.Pipeline, run.Stages[stage].Work.Name)?.InSeconds ?? false;

    private static string InWords(Run run, ImmutableArray<StageOutlook?> stages)
    {
        var ahead = stages.Select((s, i) => (Outlook: s, run.Stages[i].Work.Name)).Skip(run.Current).ToArray();
        string measured = string.Join(", ", ahead.Where(s => s.Outlook!.StepsMeasured > 0).Select(s => string.Create(
            CultureInfo.InvariantCulture, $"{s.Name} by the median of its last "
                + $"{Words.Count(s.Outlook!.StepsMeasured, "step", "steps")}{Against(run, s.Name, s.Outlook!)}")));
        string planned = string.Join(", ", ahead.Where(s => s.Outlook!.StepsMeasured == 0).Select(s => s.Name));
        string plan = planned.Length == 0 ? "" : $"{planned} by the plan{(measured.Length > 0 ? " and that pace" : "")}";
        return string.Join("; ", new[] { measured, plan }.Where(text => text.Length > 0));
    }

    private static string Against(Run run, string stage, StageOutlook outlook)
    {
        double off = (outlook.Scale ?? 1) - 1;
        return StageCourse.Of(run.Pipeline, stage) is not { InSeconds: true } ? ""
            // What is written as 0 % is neither.
            : Math.Abs(off) < 0.005 ? " (as planned)"
            : string.Create(CultureInfo.InvariantCulture, $" ({Math.Abs(off):P0} {(off < 0 ? "faster" : "slower")} than planned)");
    }
}
