using System.Collections.Immutable;
using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>A stage as it is counted.</summary>
/// <param name="View">Without words, ranks and evaluations.</param>
/// <param name="More">Null: its turn has not come.</param>
/// <param name="Incident">State of its newest incident. Null: it had none.</param>
public sealed record StageCount(StageView View, StageMeasures? More, IncidentState? Incident);

/// <summary>
/// A run in numbers, for who asks all of them at once each quarter of a minute: as small as <see cref="RunView.Summary"/>, with what
/// that leaves out because a list does not show it.
/// </summary>
/// <param name="WaitsFor">"question": an answer; "incident": somebody who looks at one. Empty: it goes on by itself.</param>
/// <param name="GpuSeconds">Of all its stages, by bucket; those that are 0 are left out.</param>
public sealed record RunMeasures(
    string Name, string Team, string State, bool Held, string WaitsFor, ImmutableArray<StageCount> Stages,
    ImmutableSortedDictionary<string, double> GpuSeconds)
{
    public static RunMeasures Of(RunView run, ImmutableArray<StageReport?> reports)
    {
        ImmutableArray<StageCount> stages = [.. run.Stages.Select(view =>
        {
            var report = reports.FirstOrDefault(r => r?.Stage.Stage == view.Name);
            // Of an older round: it is done again, and shows as waiting.
            bool now = ReferenceEquals(report?.View, view);
            return new StageCount(view with
            {
                Reason = "", Ranks = [], FoldedRanks = [], Evaluations = [], Pending = null, BeganFrom = "", Cost = null, Outlook = null,
                Trusted = null,
            }, now ? report?.Measures : null, now ? report?.Incident?.State : null);
        })];
        bool incident = !run.Ended && stages.Any(s => s is { Incident: IncidentState.NeedsHuman, View.State: not "completed" });
        return new RunMeasures(run.Name, run.Team, run.State, run.Held is not null,
            run.Question.Length > 0 ? "question" : incident ? "incident" : "", stages, Booked(run));
    }

    private static ImmutableSortedDictionary<string, double> Booked(RunView run) =>
        Enum.GetValues<GoodputBucket>()
            .Select(bucket => (Name: GoodputBuckets.NameOf(bucket), Ticks: run.Stages.Sum(s => s.Cost?.Of(bucket) ?? 0)))
            .Where(b => b.Ticks > 0)
            .ToImmutableSortedDictionary(b => b.Name, b => TimeSpan.FromTicks(b.Ticks).TotalSeconds, StringComparer.Ordinal);
}
