using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using Sentences = DeepSeekOps.Decisions.Words;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <summary>What went wrong. What is not said otherwise is of the newest incident.</summary>
internal static class OfIncidents
{
    private const string None = "no incident is recorded";

    public static readonly ImmutableArray<Question> All =
    [
        new("what-broke", "What broke last night?", About.AnyRun, Need.Incidents, Need.None,
        [
            "what broke", "what went wrong", "what failed", "what happened last night", "was there an incident",
            "which incidents were there", "did anything break", "did anything fail", "did something fail", "what crashed",
            "why did it fail", "why did it crash", "what is the problem", "what failures happened in the last day",
        ], Broke),
        new("who-guilty", "Which rank and node is to blame?", About.AnyRun, Need.Incident, Need.None,
        [
            "who is guilty", "which rank failed", "which node failed", "which rank is guilty", "which rank died", "who is to blame",
            "whose fault is it", "which rank crashed", "which rank killed it", "who caused it", "which gpu failed", "what was the cause",
                "root cause",
            "which machine killed the run",
        ], Guilty),
        new("last-line", "What was its last line?", About.AnyRun, Need.Incident, Need.None,
        [
            "what did it print last", "last words", "last log line", "what did the rank say", "what was the error message",
            "last output of the failed rank", "show the log of the rank that failed", "stack trace", "traceback", "what was the error",
            "what was the last message from the rank",
        ], LastLine),
        new("what-done", "What was done about it?", About.AnyRun, Need.Incident, Need.None,
        [
            "what did you do about it", "what was decided about it", "how was it fixed", "what was the remedy", "how was it recovered",
            "what action was taken", "how did it recover", "what did the control plane do", "what did dsops do about the failure",
        ], Done),
        new("did-it-work", "Did it work?", About.AnyRun, Need.Incident, Need.None,
        [
            "is it fixed", "is it cured", "did the recovery work", "was the recovery verified", "is it healthy again",
            "did it come back", "does it train again", "did it recover", "has it recovered", "did the fix work", "is the incident over",
            "was it mended", "was the fix successful", "is everything back to normal",
        ], Worked),
        new("incident-cost", "What did the incident cost?", About.AnyRun, Need.Incident, Need.None,
        [
            "how much did the failure cost", "how much did the incident cost", "gpu hours lost by the incident",
            "price of the incident", "cost of the crash", "how many gpu hours did it lose", "what did it cost us that it broke",
            "damage of the failure", "cost of the outage",
        ], Price),
        new("steps-lost", "How many steps were lost?", About.AnyRun, Need.Incident, Need.None,
        [
            "steps lost", "how many steps were made again", "how much work was lost", "how many steps did it lose",
            "how many steps had to be redone", "how far did it roll back", "how much progress was lost", "which steps were repeated",
            "how many steps need to be repeated",
        ], Lost),
    ];

    private static Answer Broke(Facts facts)
    {
        var reply = facts.Incidents!;
        string of = facts.Name.Length > 0 ? $" of {facts.Name}" : "";
        var answer = reply.Incidents.Count == 0
            ? Answer.Of($"Nothing broke within {Words.Time(facts.Since)}: no incident{of} is recorded")
            : Answer.Of(MorningReport.Headline(reply, facts.Over, facts.Since, facts.Now));
        return answer.With(reply.Incidents
            .Select(i => (MorningReport.Id(i), $"{i.State}, {Places.Clock(i.OpenedAt, facts)}: {i.Sentence}")))
            .See(facts.Name.Length > 0 ? Places.RunPage(facts.Name, "incidents") : "/incidents",
                $"dsops incidents {(facts.Name.Length > 0 ? $"{facts.Name} " : "")}--since {Places.Option(facts.Since)}");
    }

    private static Answer Guilty(Facts facts) => Of(facts, (incident, _) =>
    {
        if (incident.Diagnosis is not { } found)
        {
            return Answer.Unknown($"it is only suspected so far: {incident.Sentence}")
                .With("silent", incident.SuspectedNode);
        }

        string node = found.Node.Length > 0 ? found.Node : "an unknown node";
        string who = found.HasRank ? $"Rank {Places.Whole(found.Rank)} on {node}"
            : found.Node.Length > 0 ? $"No single rank but {found.Node}" : "Neither a rank nor a node";
        return Answer.Of($"{who} is to blame: {found.Sentence}")
            .With("cause", found.ExitClass.Length > 0 ? $"{found.Cause} ({found.ExitClass})" : found.Cause)
            .With("at step", Places.Whole(found.Step))
            .With("attempt", Places.Whole(found.Attempt))
            .With(found.TheoriesRefused.Select(t => ($"it was not '{t.Idea}'", t.Because)), 4);
    });

    private static Answer LastLine(Facts facts) => Of(facts, (incident, evidence) =>
    {
        var rank = evidence?.Ranks.FirstOrDefault(r => r.Lines.Count > 0 || r.Said.Length > 0);
        var pod = evidence?.Pods.FirstOrDefault(p => p.Lines.Count > 0);
        if (rank is null && pod is null)
        {
            string because = evidence is null ? "no evidence of it is kept" : "nothing that its ranks printed came through";
            return Answer.Unknown(because).Quoting("the line that names the cause", incident.Diagnosis?.Line ?? "");
        }

        var (whose, lines) = rank is { } r ? ($"rank {Places.Whole(r.Rank)} on {r.Node}", [.. r.Lines])
            : ($"pod {pod!.Pod}", pod.Lines.ToList());
        string last = lines.LastOrDefault(line => line.Trim().Length > 0) ?? rank?.Said ?? "";
        string how = rank is { HowItEnded.Length: > 0 } ? $" ({rank.HowItEnded})" : "";
        string named = incident.Diagnosis?.Line ?? "";
        return Answer.Of($"The last line of {whose}{how} is quoted below, of {Places.Many(lines.Count, "line", "lines")} kept")
            .With("role", rank?.Role).With("at step", rank is null ? null : Places.Whole(rank.Step))
            .Quoting(whose, last)
            .Quoting("the line that names the cause", named == last ? "" : named);
    });

    private static Answer Done(Facts facts) => Of(facts, (incident, _) =>
    {
        if (incident.Decision is not { } decision)
        {
            return incident.State == "closed" ? Answer.Of($"Nothing was done: {incident.Sentence}")
                : Answer.Unknown($"nothing is decided yet: {incident.Sentence}");
        }

        string undone = incident.Undone ? "; a person took that back" : "";
        return Answer.Of($"{Places.Capital(decision.Remedy)}, from step {Places.Whole(decision.GoesOnFrom)}{undone}")
            .With("decided by", $"rung '{decision.Rung}' of the recovery ladder")
            .With("when", Words.Moment(decision.At.ToDateTimeOffset()))
            .With("told afterwards", incident.ToldAfterwards)
            .With("taken over by", incident.TakenBy)
            .With(incident.RefusedCheckpoints.Select(c => ("not used again", $"{c.Path}: {c.Reason}")), 4)
            .With(decision.AlternativesRefused.Select(a => ($"rather than '{a.Idea}'", a.Because)), 6);
    });

    private static Answer Worked(Facts facts) => Of(facts, (incident, _) => Verdict(incident)
        .With("state", incident.State)
        .With("first new step", incident.Outcome is { } made ? Places.Whole(made.FirstStep) : null)
        .With("until then", incident is { Outcome: { } o, HappenedAt: { } happened }
            ? Words.Time(o.FirstStepAt.ToDateTimeOffset() - happened.ToDateTimeOffset()) : null)
        .With(incident.Phases.Select(p => (p.Name, Words.Time(p.Took.ToTimeSpan()))))
        .With("losses compared", incident.Outcome is { Compared: > 0 } o2
            ? $"{Places.Whole(o2.Compared)}, {(o2.LargestDifference == 0 ? "equal to the last bit" : Apart(o2.LargestDifference))}"
                : null));

    private static Answer Verdict(Incident incident) => incident.State switch
    {
        "closed" when incident.Outcome?.BackAt is not null => Answer.Of($"Yes, and that was verified: {incident.Outcome.Proof}"),
        "closed" when incident.Diagnosis is null => Answer.Of($"There was nothing to do: {incident.Sentence}"),
        "closed" => Answer.Unknown($"it was closed before it could be verified: {incident.Sentence}"),
        "needs-human" => Answer.Of($"No. {incident.Sentence}"),
        "verifying" => Answer.Unknown("it trains again, and the steps made twice are still being compared"),
        "acting" => Answer.Unknown("what was decided is being done, and no new step has been made yet"),
        "diagnosed" => Answer.Unknown($"nothing was done about it that could have worked: {incident.Sentence}"),
        _ => Answer.Unknown($"it is only suspected so far: {incident.Sentence}"),
    };

    private static Answer Price(Facts facts) => Of(facts, (incident, _) => incident.Outcome is not { HasGpuHours: true } outcome
        ? Answer.Unknown($"nothing is counted before the first new step; it is {incident.State}")
        : Answer.Of($"It cost {Sentences.GpuHours(outcome.GpuHours)} GPU-hours of {Places.Many(incident.Ranks, "rank", "ranks")}, "
                + $"{Money(facts, outcome)}")
            .With("counted", "from the failure to the first new step, and the steps made again"));

    private static Answer Lost(Facts facts) => Of(facts, (incident, _) => !incident.HasStepsLost
        ? Answer.Unknown($"no new step has been made since; it is {incident.State}")
        : Answer.Of(incident.StepsLost == 0 ? "No step was lost"
            : $"{Places.Many(incident.StepsLost, "step was made and had to be made again",
                "steps were made and had to be made again")}")
            .With("failed at step", incident.Diagnosis is { } found ? Places.Whole(found.Step) : null)
            .With("first new step", Places.Whole(incident.Outcome.FirstStep))
            .With("went on from", incident.Decision is { } decision ? $"step {Places.Whole(decision.GoesOnFrom)}" : null));

    private static string Money(Facts facts, IncidentOutcome outcome) => facts.Incident is { HasDollarsPerGpuHour: true } priced
        ? CostText.Money(outcome.GpuHours * priced.DollarsPerGpuHour) : "price not set";

    private static string Apart(double difference) => $"largest difference {difference.ToString("0.##e-0", CultureInfo.InvariantCulture)}";

    private static Answer Of(Facts facts, Func<Incident, Evidence?, Answer> find)
    {
        string of = facts.Name.Length > 0 ? facts.Name : "any run";
        return facts.Incident?.Incident is { } incident
            ? find(incident, facts.Incident.Evidence).With("incident", $"{MorningReport.Id(incident)}, {incident.State}, "
                    + $"{Places.Clock(incident.OpenedAt, facts)}")
                .See(Places.IncidentPage(incident), Places.Why(incident))
            : Answer.Unknown($"{None} of {of}")
                .See("/incidents", $"dsops incidents{(facts.Name.Length > 0 ? $" {facts.Name}" : "")}");
    }
}
