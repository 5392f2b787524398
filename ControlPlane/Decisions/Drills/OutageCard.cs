using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.Decisions.Drills;

/// <summary>
/// How an outage of whoever would record an incident was met. Training does without: right is that nothing was ended for it, that its
/// absence is told, and that no step is missing or was made again.
/// </summary>
public static class OutageCard
{
    public static DrillCard Of(DrillTruth truth, OutageFacts facts, ImmutableArray<Incident> incidents)
    {
        // A slow rank is a finding of its own and ends nothing.
        var wrong = incidents.Where(i => i.Stage == truth.Stage && i.Number > truth.IncidentsBefore)
            .FirstOrDefault(i => i.Diagnosis is { Cause: not SlowRank.Cause });
        var seen = truth.Outage ?? new OutageSeen(null, "", null);
        bool killed = truth.Fault == DrillFault.KillControlPlane;
        string words = killed ? facts.Back : seen.Words;
        bool told = killed ? words.Length > 0 : seen.ToldAfter is not null;
        bool trains = seen.BackAt is { } back && facts.NewestAt > back && facts.Newest > truth.Step;
        bool whole = facts.Attempt == truth.Attempt && facts.Missing == 0;
        bool over = wrong is { Open: false } || (wrong is null && trains && told && whole);
        var (grade, because) = wrong is not null ? (DrillCard.Noticed, $"something was ended for it: '{wrong.Diagnosis!.Cause}'")
            : !told ? (0, "it was not reported")
            : (DrillCard.Right,
                $"{(killed ? "it is reported" : "it was reported while it lasted")}, and nothing was ended for it: {words}");
        string named = wrong?.Diagnosis?.Cause ?? (told ? killed ? "agents without contact" : "the database cannot be written" : "");
        string sentence = wrong?.Sentence ?? string.Create(CultureInfo.InvariantCulture,
            $"Steps {truth.Step + 1} to {facts.Newest} are written, {facts.Missing} of them missing; it is attempt {facts.Attempt}, ")
            + string.Create(CultureInfo.InvariantCulture, $"and was attempt {truth.Attempt}.");
        return new DrillCard(truth, over, wrong?.Number ?? 0, wrong?.State.ToString().ToLowerInvariant() ?? (over ? "closed" : "open"),
            seen.ToldAfter, told ? seen.ToldAfter ?? seen.BackAt - truth.At : null, named, sentence, grade, because,
            wrong is null && over, seen.BackAt is { } at ? [new IncidentPhase("away", at - truth.At)] : [], whole ? 0 : null);
    }
}
