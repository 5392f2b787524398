using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Verbs;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <summary>What a person has to look at, and what was done without one.</summary>
internal static class OfAttention
{
    private const string ByTheSystem = "system";
    private const string Refused = "refused";

    /// <summary>As Decisions.Placement.WhyPending begins it: such a gang waits until somebody asks for something else.</summary>
    internal const string NeverStarts = "can never start";

    public static readonly ImmutableArray<Question> All =
    [
        new("needs-me", "What needs me now?", About.All, Need.Incidents | Need.Runs | Need.Health, Need.None,
        [
            "what needs a person", "what should i do", "is anything waiting for me", "what do i have to do",
            "does anything need attention", "what needs my attention", "what is urgent", "who needs help", "what waits for an answer",
            "what must i approve", "do i have to do anything",
        ], NeedsMe),
        new("decided", "What was decided while I was away?", About.AnyRun, Need.Audit, Need.None,
        [
            "what did you decide while i was away", "what happened while i was away", "what did the system do by itself",
            "what was done overnight", "what did automation do", "what happened meanwhile", "what did i miss", "catch me up",
            "what happened overnight while i slept",
        ], Decided),
        new("healthy", "Are the control plane and its database well?", About.All, Need.Health, Need.None,
        [
            "is the control plane healthy", "is the database ok", "is the database healthy", "is the control plane ok",
            "is the control plane up", "is dsops well", "can the database be written", "is the system healthy",
            "health of the control plane", "is the control plane running fine",
        ], Healthy),
    ];

    private static Answer NeedsMe(Facts facts)
    {
        var incidents = facts.Incidents!.Incidents.Where(i => i.State == "needs-human" && !facts.Over.Contains(i.Run)).ToList();
        var told = incidents.Select(i => i.Run).ToHashSet(StringComparer.Ordinal);
        var runs = facts.Standing!.Where(run => !told.Contains(run.Name)).ToList();
        var problems = facts.Health!.Problems;
        var parts = new List<string>();
        Add(incidents.Count, "incident needs a person", "incidents need a person");
        Add(runs.Count(r => r.State == "failed"), "run has failed", "runs have failed");
        Add(runs.Count(r => r.State == "paused"), "run is paused", "runs are paused");
        Add(runs.Count(r => r.State == "queued"), "run can never start", "runs can never start");
        Add(problems.Count, "thing is wrong with the control plane", "things are wrong with the control plane");
        var first = incidents.FirstOrDefault();
        return (parts.Count == 0 ? Answer.Of("Nothing: no incident, no run and no part of the control plane waits for a person")
                : Answer.Of(string.Join(", ", parts) + (first is null ? "" : $"; the newest is {MorningReport.Id(first)}")))
            .With(problems.Select(p => (p.Level, $"{p.Text} {p.Fix}")), 4)
            .With(incidents.Select(i => (MorningReport.Id(i), i.TakenBy.Length > 0 ? $"{i.TakenBy} works on it: {i.Sentence}"
                : i.Sentence)), 8)
            .With(runs.Select(r => (r.Name, Places.Standing(r.State, r.Reason))), 8)
            .See(first is null ? "/" : Places.IncidentPage(first), first is null ? "dsops top --once" : Places.Why(first));

        void Add(int count, string one, string many) => parts.AddRange(count > 0 ? [Places.Many(count, one, many)] : []);
    }

    private static Answer Decided(Facts facts)
    {
        var lines = facts.Audit!;
        var own = lines.Where(l => l.By == ByTheSystem).ToList();
        int refused = lines.Count(l => l.By != ByTheSystem && IsRefused(l));
        string acts = string.Join(", ", own.GroupBy(l => l.Act).OrderByDescending(g => g.Count())
            .ThenBy(g => g.Key, StringComparer.Ordinal).Take(5)
            .Select(g => $"{Places.Whole(g.Count())} {g.Key}"));
        string of = facts.Name.Length > 0 ? $" about {facts.Name}" : "";
        return (lines.Count == 0 ? Answer.Of($"Nothing{of} within {Words.Time(facts.Since)}")
                : Answer.Of($"Within {Words.Time(facts.Since)} the system decided {Places.Many(own.Count, "thing", "things")}{of}"
                    + $"{(acts.Length > 0 ? $" ({acts})" : "")}, and people asked for {Places.Whole(lines.Count - own.Count)}"
                    + (refused > 0 ? $", of which {Places.Whole(refused)} {(refused == 1 ? "was" : "were")} refused" : "")))
            .With(lines.Select(l => ($"{Places.Clock(l.At, facts)} {l.Act}{(IsRefused(l) ? $", {Refused}" : "")}",
                $"{l.Who}{(l.Target.Length > 0 ? $", {l.Target}" : "")}{(l.Why.Length > 0 ? $": {l.Why}" : "")}")), 15)
            .See("/audit", $"dsops audit {(facts.Name.Length > 0 ? $"{facts.Name} " : "")}--since {Places.Option(facts.Since)}");
    }

    private static bool IsRefused(AuditLine line) => line.Outcome.StartsWith(Refused, StringComparison.Ordinal);

    private static Answer Healthy(Facts facts)
    {
        var problems = facts.Health!.Problems;
        return (problems.Count == 0 ? Answer.Of("Yes: the control plane answers, and nothing is wrong with it or its database")
                : Answer.Of($"No. {problems[0].Text}"))
            .With(problems.Select(p => (p.Level, $"{p.Text} {p.Fix}")))
            .With("version", facts.Version?.Version).With("database", facts.Version?.Database).With("cluster", facts.Version?.Cluster)
            .See("/", "dsops doctor");
    }
}
