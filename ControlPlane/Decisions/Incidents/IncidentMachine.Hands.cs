using System.Collections.Immutable;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Incidents;

/// <summary>What a person's hand makes of an incident.</summary>
public static partial class IncidentMachine
{
    /// <summary>A failure was met while a person holds the run: it has a name, and nothing is done.</summary>
    public static Incident Withhold(
        Incident? open, Func<Incident> begin, Failure failure, Diagnosis diagnosis, IncidentDecision decision,
        ImmutableArray<StepLoss> recorded) =>
        Known(open ?? begin(), failure, diagnosis, decision, recorded).To(IncidentState.Diagnosed, failure.NoticedAt, decision.Remedy) with
        {
            Sentence = $"{Capital(diagnosis.Sentence.TrimEnd('.'))}; {decision.Remedy}.",
        };

    /// <summary>What was withheld is not needed any more: nothing is wrong now.</summary>
    public static Incident WentOn(Incident incident, DateTimeOffset now) => !incident.Open || incident.Diagnosis is not { } diagnosis
        ? incident : Close(incident, now, $"{Capital(diagnosis.Sentence.TrimEnd('.'))}; nothing was done, and it went on by itself.");

    /// <summary>A hold was laid on, changed or taken off.</summary>
    public static Incident Hold(Incident incident, PersonsHold? hold, DateTimeOffset now) =>
        (incident.HeldBy, hold) switch
        {
            _ when !incident.Open => incident,
            (null, null) => incident,
            (_, { } laid) when incident.HeldBy != laid.InWords =>
                incident.To(incident.State, now, $"{laid.InWords}: {Or(laid.Why)}") with { HeldBy = laid.InWords },
            ({ }, null) => incident.To(incident.State, now, "the hold is over") with { HeldBy = null },
            _ => incident,
        };

    /// <summary>A person takes it: whatever automation still meant to do about it is not done.</summary>
    public static Incident Take(Incident incident, PersonsHold hold, DateTimeOffset now) =>
        incident.State == IncidentState.Closed || incident.TakenBy == hold.By ? incident
            : incident.To(IncidentState.NeedsHuman, now, $"{hold.InWords}: {Or(hold.Why)}") with
            {
                TakenBy = hold.By,
                TakenFrom = incident.TakenBy.Length > 0 ? incident.TakenFrom : incident.State,
                HeldBy = hold.InWords,
                Sentence = $"{Capital(hold.InWords)}: {incident.Sentence}",
                SentenceBefore = incident.TakenBy.Length > 0 ? incident.SentenceBefore : incident.Sentence,
            };

    /// <summary>The person gives it back: automation goes on where it was.</summary>
    public static Incident GiveBack(Incident incident, PersonsHold? hold, DateTimeOffset now)
    {
        string by = hold is { EndedBy.Length: > 0 } ? $"given back by {hold.EndedBy}: {Or(hold.EndedWhy)}" : "the hold is over";
        return incident.TakenBy.Length == 0 ? incident : incident.To(incident.TakenFrom, now, by) with
        {
            TakenBy = "",
            HeldBy = null,
            Sentence = incident.SentenceBefore,
            SentenceBefore = "",
        };
    }

    /// <summary>What was done for it was taken back by a person.</summary>
    public static Incident Undo(Incident incident, string what, string by, DateTimeOffset now)
    {
        string sentence = $"{incident.Sentence.TrimEnd('.')}; taken back by {by}: {what}.";
        var told = incident.To(incident.State, now, $"taken back by {by}: {what}") with { Sentence = sentence, Undone = true };
        return incident.Open ? Close(told, now, sentence) : told;
    }

    private static Incident Known(
        Incident incident, Failure failure, Diagnosis diagnosis, IncidentDecision decision, ImmutableArray<StepLoss> recorded) =>
        incident.To(IncidentState.Diagnosed, failure.NoticedAt, diagnosis.Sentence) with
        {
            // That something was amiss before is part of the story; what is lost counts from the failure.
            HappenedAt = incident.Advice ? failure.HappenedAt : incident.HappenedAt ?? failure.HappenedAt,
            Diagnosis = diagnosis,
            Decision = decision,
            Outcome = null,
            Phases = [],
            // One that had been brought back and fails again is another recovery.
            TraceId = incident.TraceId.Length == 0 || incident.Outcome is not null
                ? RecoveryTrace.IdOf(incident, failure) : incident.TraceId,
            LaunchDue = null,
            Launch = null,
            // What an attempt that got less far told of a step is no more than what is known of it.
            Recorded = [.. incident.Recorded.Concat(recorded).Where(l => l.Step > decision.GoesOnFrom).GroupBy(l => l.Step)
                .Select(g => g.First()).OrderBy(l => l.Step).Take(LossesKept)],
            FailedAttempts = incident.FailedAttempts.Contains(failure.Attempt) ? incident.FailedAttempts
                : incident.FailedAttempts.Add(failure.Attempt),
        };

    private static string Or(string why) => why.Length == 0 ? "no reason given" : why;
}
