using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Incidents;

/// <summary>
/// Every transition of an incident. Pure, and told only what the stage's planner has decided already: it decides nothing about the stage.
/// </summary>
public static partial class IncidentMachine
{
    /// <summary>
    /// Steps beyond the one that failed before an incident is closed. Ours: what fails by its place in the data or in the schedule fails
    /// within one, and three are what the dictionary of exits takes for having got over something.
    /// </summary>
    public const int StepsBeyond = 3;

    /// <summary>Losses kept to be compared with. Ours: a wrong state of weights, optimizer or data shows in the first few.</summary>
    public const int LossesKept = 32;

    /// <summary>
    /// Two losses of one step are the same up to this, relatively. Ours: a restart of ours is equal to the last bit where the kernels are;
    /// GPU kernels that add in another order differ by 1e-5 (bf16 sums), and a lost optimizer state by more than 1e-2 in a few steps.
    /// </summary>
    public const double SameLoss = 1e-3;

    /// <param name="node">Whose silence it is.</param>
    public static Incident Suspect(StageId stage, int number, int ranks, string silence, string node, DateTimeOffset now) =>
        (new Incident(stage, number, IncidentState.Suspected, now, $"Suspected: {silence}.", ranks, []) with { SuspectedNode = node })
            .To(IncidentState.Suspected, now, silence);

    /// <summary>What was to be gone on from is damaged; an older checkpoint is gone on from by itself.</summary>
    public static Incident Refuse(Incident incident, RefusedPath refused, string then, DateTimeOffset now) =>
        !incident.Open || incident.RefusedCheckpoints.Contains(refused) ? incident
            : incident.To(incident.State, now, $"checkpoint {refused.Path} is not used again: {refused.Reason}; {then}") with
            {
                RefusedCheckpoints = incident.RefusedCheckpoints.Add(refused),
            };

    /// <summary>What was suspected turned out to be nothing.</summary>
    public static Incident HeardAgain(Incident incident, DateTimeOffset now) => Close(incident, now,
        $"Nothing: {(incident.SuspectedNode.Length > 0 ? incident.SuspectedNode : "it")} was silent for "
            + $"{Words.Duration(now - incident.OpenedAt)} beyond the usual and went on by itself.");

    /// <summary>
    /// Something is wrong that the gang trains on with. It stays diagnosed until it is not, or something fails: nothing is ended for it.
    /// </summary>
    /// <param name="figures">What was measured, a line each.</param>
    public static Incident Tell(
        Incident begun, Diagnosis diagnosis, IncidentDecision decision, DateTimeOffset happened, IEnumerable<string> figures)
    {
        var found = begun.To(IncidentState.Diagnosed, diagnosis.At, diagnosis.Sentence) with
        {
            HappenedAt = happened,
            Diagnosis = diagnosis,
            Decision = decision,
            Sentence = $"{Capital(diagnosis.Sentence.TrimEnd('.'))}; {decision.Remedy}.",
        };
        return figures.Aggregate(found, (incident, figure) => incident.To(IncidentState.Diagnosed, diagnosis.At, figure));
    }

    /// <summary>What was only told is over.</summary>
    /// <param name="proof">By what that is known.</param>
    /// <param name="lost">What the gang lost by it, in time of its cluster.</param>
    /// <param name="price">The same in words; empty: nothing.</param>
    public static Incident Over(Incident incident, string proof, TimeSpan lost, string price, long step, DateTimeOffset now)
    {
        if (!incident.Advice || incident.Diagnosis is not { } diagnosis)
        {
            return incident;
        }

        string more = price.Length > 0 ? $" {price}" : "";
        var lasted = now - (incident.HappenedAt ?? incident.OpenedAt);
        return Close(incident with
        {
            Outcome = new IncidentOutcome(now, step, null, null, 0, 0)
            {
                BackAt = now, GpuHours = lost.TotalHours * incident.Ranks, Proof = proof,
            },
        }, now, $"{Capital(diagnosis.Sentence.TrimEnd('.'))}; after {Words.Duration(lasted)} {proof}.{more}");
    }

    /// <param name="open">An incident that is not over yet: this failure is part of it. Null: it begins with this one.</param>
    /// <param name="gaveUp">Why nothing more is tried. Null: the decision is being carried out.</param>
    public static Incident Diagnose(
        Incident? open, Func<Incident> begin, Failure failure, Diagnosis diagnosis, IncidentDecision decision,
        ImmutableArray<StepLoss> recorded, string? gaveUp)
    {
        var now = failure.NoticedAt;
        var diagnosed = Known(open ?? begin(), failure, diagnosis, decision, recorded);
        string what = diagnosis.Sentence.TrimEnd('.');
        return gaveUp is not null
            ? Hand(diagnosed, now, gaveUp)
            : diagnosed.To(IncidentState.Acting, now, decision.Remedy) with { Sentence = $"{Capital(what)}; {decision.Remedy}." };
    }

    /// <summary>The first new step after what was decided.</summary>
    public static Incident Began(Incident incident, long firstStep, ImmutableArray<IncidentPhase> phases, DateTimeOffset now)
    {
        if (incident.State != IncidentState.Acting)
        {
            return incident;
        }

        var took = now - (incident.HappenedAt ?? incident.OpenedAt);
        return incident.To(IncidentState.Verifying, now, $"first new step {firstStep} after {Words.Duration(took)}") with
        {
            Outcome = new IncidentOutcome(now, firstStep, null, null, 0, 0)
            {
                GpuHours = GpuHoursOf(took, incident),
            },
            Phases = phases,
            LaunchDue = now + LaunchAccount.WaitedFor,
        };
    }

    /// <summary>Holds the steps that were told since against what was recorded.</summary>
    /// <param name="told">Of the attempt that is verified; a step may come again.</param>
    /// <param name="newest">The newest step that was told of it.</param>
    public static Incident Verify(Incident incident, ImmutableArray<StepLoss> told, long newest, DateTimeOffset now)
    {
        if (incident is not { State: IncidentState.Verifying, Outcome: { } outcome, Diagnosis: { } diagnosis })
        {
            return incident;
        }

        var byStep = told.GroupBy(l => l.Step).ToDictionary(g => g.Key, g => g.First().Loss);
        var pairs = incident.Recorded.Where(l => byStep.ContainsKey(l.Step))
            .Select(l => (l.Step, Was: l.Loss, Is: byStep[l.Step])).ToList();
        if (pairs.FirstOrDefault(p => Apart(p.Was, p.Is) > SameLoss) is { Step: > 0 } other)
        {
            return Hand(incident with { Outcome = Compared(outcome, byStep, pairs) }, now,
                $"the loss of step {other.Step} is {Plain(other.Is)}, and was {Plain(other.Was)} before the failure: it does not go on "
                + "from the state that it had. Pause it and compare the checkpoints, or roll back to an older one");
        }

        if (newest < diagnosis.Step + StepsBeyond)
        {
            return incident;
        }

        var seen = Compared(outcome, byStep, pairs) with { BackAt = now };
        var lost = outcome.FirstStepAt - (incident.HappenedAt ?? incident.OpenedAt);
        // Steps made again are lost up to the one that failed; their pace is that from the first of them until now.
        double again = Math.Clamp((diagnosis.Step - outcome.FirstStep + 1.0) / Math.Max(1, newest - outcome.FirstStep + 1), 0, 1);
        seen = seen with { GpuHours = GpuHoursOf(lost + ((now - outcome.FirstStepAt) * again), incident) };
        string same = seen.Compared == 0 ? "no step was made twice that could be compared"
            : $"{Words.Count(seen.Compared, "step was made twice, its loss", "steps were made twice, their losses")} "
                + (seen.LargestDifference == 0 ? "equal to the last bit" : $"equal within {Plain(seen.LargestDifference)}");
        string cause = diagnosis.Sentence.TrimEnd('.');
        return Close(incident with { Outcome = seen with { Proof = same } }, now,
            $"{Capital(cause)}; {incident.Decision?.Remedy}. It trained again after "
            + $"{Words.Duration(lost)} and is past step {diagnosis.Step}: {same}."
            + string.Concat(incident.RefusedCheckpoints.Select(r => $" Checkpoint {r.Path} was damaged and is not used again.")));
    }

    /// <summary>As the stage's account has them: what a clock measured of a cluster that is played faster is more of its time.</summary>
    private static double GpuHoursOf(TimeSpan took, Incident incident) => took.TotalHours * incident.TimeFactor * incident.Ranks;

    /// <summary>The stage came to an end, or a person took it over.</summary>
    public static Incident Leave(Incident incident, string why, DateTimeOffset now) => !incident.Open ? incident
        : Close(incident, now, $"{incident.Sentence.TrimEnd('.')}; not verified further: {why}.");

    /// <summary>Nothing more is tried by itself.</summary>
    public static Incident GiveUp(Incident incident, string why, DateTimeOffset now) => incident.Open ? Hand(incident, now, why) : incident;

    private static Incident Close(Incident incident, DateTimeOffset now, string sentence) =>
        incident.To(IncidentState.Closed, now, sentence) with { Sentence = sentence, EndedAt = now };

    private static Incident Hand(Incident incident, DateTimeOffset now, string why) =>
        incident.To(IncidentState.NeedsHuman, now, why) with { Sentence = $"Needs a person: {why.TrimEnd('.')}.", EndedAt = now };

    private static IncidentOutcome Compared(
        IncidentOutcome outcome, Dictionary<long, double> told, List<(long Step, double Was, double Is)> pairs) => outcome with
        {
            FirstLoss = told.TryGetValue(outcome.FirstStep, out double first) ? first : outcome.FirstLoss,
            RecordedLoss = pairs.Where(p => p.Step == outcome.FirstStep).Select(p => (double?)p.Was).FirstOrDefault(),
            Compared = pairs.Count,
            LargestDifference = pairs.Select(p => Apart(p.Was, p.Is)).DefaultIfEmpty(0).Max(),
        };

    /// <summary>Relative; a loss that is no number is like another that is none.</summary>
    private static double Apart(double was, double now) => was.Equals(now) ? 0
        : !double.IsFinite(was) || !double.IsFinite(now) ? double.MaxValue
        : Math.Abs(was - now) / Math.Max(Math.Abs(was), 1e-12);

    private static string Plain(double value) => value.ToString("0.######", CultureInfo.InvariantCulture) is "0" && value != 0
        ? value.ToString("0.0e-0", CultureInfo.InvariantCulture) : value.ToString("0.######", CultureInfo.InvariantCulture);

    private static string Capital(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..];
}
