using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Recovery;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>Tells a stage's incident what was decided about the stage. Nothing here changes a decision.</summary>
internal static class StageIncidents
{
    /// <summary>A failure was met and its remedy chosen.</summary>
    /// <param name="remedy">In the words of the timeline.</param>
    public static Stage Diagnosed(Stage stage, GangGrant gang, Climbed climbed, string remedy, Observation seen)
    {
        var failure = climbed.Failure;
        long from = CheckpointChoice.ToResume(stage.Checkpoints)?.Made.Step ?? 0;
        var diagnosis = new Diagnosis(failure.NoticedAt, failure.Cause.InWords(), failure.Sentence, failure.Exit?.Class ?? "",
            failure.Exit?.Meaning.Fix ?? "", failure.Exit?.Line ?? "", failure.Rank, failure.Node.Name, failure.Attempt, failure.Step,
            Theories.Refuse(gang, failure, seen));
        var decision = new IncidentDecision(failure.NoticedAt, remedy, climbed.Rung, from,
            [.. climbed.Refused.Select(r => new RefusedRemedy(r.Rung, r.Because))]);
        var open = Open(stage);
        // What follows a batch that is left out, or a loss that rose, is trained otherwise than it was.
        long comparable = climbed.Remedy is Remedy.AfterRise ? 0 : failure.Broke is { } broke ? broke.Step : long.MaxValue;
        open = open is null ? null : open with { Recorded = open.Recorded.RemoveAll(l => l.Step >= comparable) };
        ImmutableArray<StepLoss> recorded =
        [
            .. seen.Losses.Where(l => l.Attempt == failure.Attempt && l.Step > from && l.Step < comparable)
                .DistinctBy(l => l.Step).OrderBy(l => l.Step).Take(IncidentMachine.LossesKept).Select(l => new StepLoss(l.Step, l.Loss)),
        ];
        return stage with
        {
            NewestIncident = IncidentMachine.Diagnose(open, () => Begin(stage, gang, failure), failure, diagnosis, decision, recorded,
                (climbed.Remedy as Remedy.GiveUp)?.Reason),
        };
    }

    public static Evidence EvidenceOf(Stage stage, GangGrant gang, Failure failure, Observation seen) =>
        Evidence.Of(stage.Watched, gang, failure, NumberOf(stage), seen);

    /// <summary>After each decision: what it means for the incident that is open, or whether one begins to be suspected.</summary>
    public static Decision Follow(Stage before, Decision decision, Observation seen, DateTimeOffset now)
    {
        var stage = decision.Next;
        if (Open(stage) is not { } open)
        {
            return stage.Phase is Phase.Running && stage.Phase.GangOrNull is { } gang && Stages.Silence.Of(stage, seen) is { } silence
                ? decision with
                {
                    Next = stage with
                    {
                        NewestIncident = IncidentMachine.Suspect(stage.Id, NumberOf(stage), gang.Slots, silence.Words, now),
                    },
                }
                : decision;
        }

        var next = Moved(open, before, stage, seen, now);
        return ReferenceEquals(next, open) ? decision
            : decision with { Next = Told(stage with { NewestIncident = next }, open, next, now) };
    }

    private static Incident Moved(Incident open, Stage before, Stage stage, Observation seen, DateTimeOffset now)
    {
        if (stage.Round != before.Round)
        {
            return IncidentMachine.Leave(open, $"a person took over: {stage.Wish.Reason}", now);
        }

        long newest = seen.Latest is { } sample && sample.Attempt == stage.Attempt ? sample.Step : 0;
        return stage.Phase switch
        {
            Phase.Paused or Phase.Cancelled => IncidentMachine.Leave(open, $"a person took over: {stage.Wish.Reason}", now),
            Phase.Completed => IncidentMachine.Leave(IncidentMachine.Verify(open, ToldOf(stage, seen), long.MaxValue, now),
                "the stage has ended", now),
            Phase.Failed failed => IncidentMachine.GiveUp(open, failed.Why, now),
            Phase.Running when open.State == IncidentState.Acting =>
                IncidentMachine.Began(open, stage.LaunchedFrom + 1, PhasesOf(open, stage, seen, now), now),
            Phase.Running when open.State == IncidentState.Verifying => IncidentMachine.Verify(open, ToldOf(stage, seen), newest, now),
            Phase.Running when open.State == IncidentState.Suspected && Stages.Silence.Of(stage, seen) is null =>
                IncidentMachine.HeardAgain(open, now),
            _ => open,
        };
    }

    private static Stage Told(Stage stage, Incident before, Incident next, DateTimeOffset now) => (before.State, next) switch
    {
        (IncidentState.Verifying, { State: IncidentState.Closed, Outcome: { BackAt: not null } outcome }) =>
            stage.Say(now, "verified", EventLevel.Info,
                $"incident {next.Number} is closed: past step {next.Diagnosis?.Step}, and {outcome.Proof}"),
        (IncidentState.Verifying, { State: IncidentState.NeedsHuman }) =>
            stage.Say(now, "needs-person", EventLevel.Error, $"incident {next.Number}: {next.Sentence}"),
        _ => stage,
    };

    private static Incident? Open(Stage stage) => stage.NewestIncident is { Open: true } open ? open : null;

    /// <summary>Of the incident that is open, or would begin now.</summary>
    private static int NumberOf(Stage stage) =>
        stage.NewestIncident is not { } newest ? 1 : newest.Open ? newest.Number : newest.Number + 1;

    private static Incident Begin(Stage stage, GangGrant gang, Failure failure) =>
        new(stage.Id, NumberOf(stage), IncidentState.Diagnosed, failure.NoticedAt, "", gang.Slots, []);

    private static ImmutableArray<StepLoss> ToldOf(Stage stage, Observation seen) =>
        [.. seen.Losses.Where(l => l.Attempt == stage.Attempt).Select(l => new StepLoss(l.Step, l.Loss))];

    /// <summary>They add up to the time from the failure to the first new step.</summary>
    private static ImmutableArray<IncidentPhase> PhasesOf(Incident open, Stage stage, Observation seen, DateTimeOffset now)
    {
        var launch = (stage.Phase.GangOrNull is { } gang ? seen.AgentsOf(gang).FirstOrDefault() : null)?.LaunchSeconds;
        var happened = open.HappenedAt ?? open.OpenedAt;
        var noticed = (open.Diagnosis?.At ?? now) - happened;
        var left = now - happened - noticed;
        var phases = ImmutableArray.CreateBuilder<IncidentPhase>();
        phases.Add(new("noticed", noticed));
        foreach (string name in new[] { "spawn", "load", "restore", "first_step" })
        {
            var took = TimeSpan.FromSeconds(launch?.GetValueOrDefault(name) ?? 0);
            took = took < left ? took : left;
            if (took > TimeSpan.Zero)
            {
                phases.Add(new(name.Replace('_', ' '), took));
                left -= took;
            }
        }

        phases.Insert(1, new("ended and placed", left));
        return phases.ToImmutable();
    }
}
