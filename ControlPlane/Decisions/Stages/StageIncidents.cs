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
        var diagnosis = DiagnosisOf(failure, gang, seen);
        var decision = new IncidentDecision(failure.NoticedAt, remedy, climbed.Rung, from,
            [.. climbed.Refused.Select(r => new RefusedRemedy(r.Rung, r.Because))]);
        var open = Open(stage);
        // What follows a batch that is left out, or a loss that rose, is trained otherwise than it was.
        long comparable = climbed.Remedy is Remedy.AfterRise ? 0 : failure.Broke is { } broke ? broke.Step : long.MaxValue;
        open = open is null ? null : open with { ToldAfterwards = "", Recorded = open.Recorded.RemoveAll(l => l.Step >= comparable) };
        var recorded = LossesOf(failure, from, seen, comparable);
        return stage with
        {
            NewestIncident = IncidentMachine.Diagnose(open, () => Begin(stage, gang, failure, seen), failure, diagnosis, decision, recorded,
                (climbed.Remedy as Remedy.GiveUp)?.Reason),
        };
    }

    /// <summary>A failure was met and nothing is done about it, since a person holds the run.</summary>
    public static Stage Withheld(Stage stage, GangGrant gang, Climbed climbed, string would, Observation seen)
    {
        var failure = climbed.Failure;
        long from = CheckpointChoice.ToResume(stage.Checkpoints)?.Made.Step ?? 0;
        var decision = new IncidentDecision(failure.NoticedAt, would, IncidentDecision.Withheld, from,
        [
            new RefusedRemedy(climbed.Rung, "a person holds the run"),
            .. climbed.Refused.Select(r => new RefusedRemedy(r.Rung, r.Because)),
        ]);
        return stage with
        {
            NewestIncident = IncidentMachine.Withhold(Open(stage), () => Begin(stage, gang, failure, seen), failure,
                DiagnosisOf(failure, gang, seen), decision, LossesOf(failure, from, seen)),
        };
    }

    private static ImmutableArray<StepLoss> LossesOf(Failure failure, long from, Observation seen, long before = long.MaxValue) =>
    [
        .. seen.Losses.Where(l => l.Attempt == failure.Attempt && l.Step > from && l.Step < before)
            .DistinctBy(l => l.Step).OrderBy(l => l.Step).Take(IncidentMachine.LossesKept).Select(l => new StepLoss(l.Step, l.Loss)),
    ];

    /// <summary>
    /// An agent launched its rank again while nobody could be asked. It is told here when both are over, and is closed by the same proof:
    /// what was made before the rank's end is what is recorded, what was made after it is what is told.
    /// </summary>
    public static Stage ToldAfterwards(Stage stage, LocalRestart restart, Failure failure, Observation seen)
    {
        if (stage.Phase.GangOrNull is not { } gang)
        {
            return stage;
        }

        long from = CheckpointChoice.ToResume(stage.Checkpoints.RemoveAll(c => c.Made.At > restart.At))?.Made.Step ?? 0;
        string remedy = $"its agent launched it again by itself: {restart.Reason} (for {Words.Duration(restart.Alone)})";
        var diagnosis = new Diagnosis(restart.At, failure.Cause.InWords(), failure.Sentence, failure.Exit?.Class ?? "",
            failure.Exit?.Meaning.Fix ?? "", failure.Exit?.Line ?? "", failure.Rank, failure.Node.Name, failure.Attempt, failure.Step,
            [new RefusedTheory("the machine broke", $"the agent on {failure.Node} ran on and launched the rank again")]);
        var decision = new IncidentDecision(restart.At, remedy, "the agent", from,
            [new RefusedRemedy("what the ladder would have chosen", $"nobody could be asked: {restart.Reason}")]);
        ImmutableArray<StepLoss> recorded =
        [
            .. seen.Losses.Where(l => l.Attempt == restart.Attempt && l.At <= restart.At && l.Step > from)
                .DistinctBy(l => l.Step).OrderBy(l => l.Step).Take(IncidentMachine.LossesKept).Select(l => new StepLoss(l.Step, l.Loss)),
        ];
        var incident = IncidentMachine.Diagnose(
            Open(stage), () => Begin(stage, gang, failure, seen), failure, diagnosis, decision, recorded, gaveUp: null);
        return stage with
        {
            NewestIncident = incident with
            {
                ToldAfterwards = $"local try {restart.LocalTry} of attempt {restart.Attempt}, made by the agent on {restart.Node}",
            },
        };
    }

    /// <summary>What was known of a rank that its agent has launched again since. Null: the decision takes none up.</summary>
    public static Evidence? EvidenceAfterwards(Stage before, Stage next, Observation seen)
    {
        var taken = seen.News.LocalRestarts.Where(r => r.Attempt == next.Attempt && r.LocalTry > before.LocalTry
            && r.LocalTry <= next.LocalTry).MinBy(r => r.LocalTry);
        return taken is null || next.Phase.GangOrNull is not { } gang || next.NewestIncident is not { } incident ? null
            : Evidence.Of(next.Watched, gang, RankEnd.Of(next.Watched, taken.Node, taken.Ended, taken.At, taken.At), incident.Number,
                seen, taken.Ended);
    }

    private static Diagnosis DiagnosisOf(Failure failure, GangGrant gang, Observation seen) => new(
        failure.NoticedAt, failure.Cause.InWords(), failure.Sentence, failure.Exit?.Class ?? "", failure.Exit?.Meaning.Fix ?? "",
        failure.Exit?.Line ?? "", failure.Rank, failure.Node.Name, failure.Attempt, failure.Step, Theories.Refuse(gang, failure, seen));

    /// <summary>
    /// A checkpoint was found damaged when it was to be gone on from, or was read again: part of the incident that is being acted on,
    /// or one of its own.
    /// </summary>
    /// <param name="then">What is gone on from instead, in words.</param>
    public static Stage Refused(Stage stage, RefusedCheckpoint refused, long step, string then, Observation seen, DateTimeOffset now)
    {
        var open = Open(stage);
        if (open is null && stage.Phase is Phase.Starting or Phase.Checking or Phase.Restarting && stage.Phase.GangOrNull is { } gang)
        {
            var failure = new Failure(FailureCause.CheckpointRefused, $"checkpoint {refused.Path} was found damaged: {refused.Reason}", "",
                gang.Nodes[0], false, stage.Attempt, step, now, now);
            long from = CheckpointChoice.ToResume(stage.Checkpoints)?.Made.Step ?? 0;
            open = IncidentMachine.Diagnose(null, () => Begin(stage, gang, failure, seen), failure, DiagnosisOf(failure, gang, seen),
                new IncidentDecision(now, then, "the rank itself", from, []), [], null) with
            { FailedAttempts = [] };
        }

        if (open is null && stage.Phase is Phase.Running { Gang: var whole })
        {
            open = StageDamage.Begin(stage, whole, refused, step, NumberOf(stage), then, seen, now);
        }

        return open is null ? stage
            : stage with { NewestIncident = IncidentMachine.Refuse(open, new RefusedPath(refused.Path, refused.Reason), then, now) };
    }

    public static Evidence EvidenceOf(Stage stage, GangGrant gang, Failure failure, Observation seen) =>
        Evidence.Of(stage.Watched, gang, failure, NumberOf(stage), seen);

    /// <summary>After each decision: what it means for the incident that is open, or whether one begins to be suspected.</summary>
    public static Decision Follow(Stage before, Decision decision, Observation seen, DateTimeOffset now) =>
        WithLaunch(Followed(before, decision, seen, now), seen, now);

    /// <summary>
    /// What nodes did for the launch is taken down once all have told, whatever became of the incident meanwhile: three steps may close it.
    /// </summary>
    private static Decision WithLaunch(Decision decision, Observation seen, DateTimeOffset now)
    {
        if (decision.Next is not { NewestIncident: { LaunchDue: { } due, Outcome: not null } incident } stage)
        {
            return decision;
        }

        var gang = stage.Phase.GangOrNull;
        return gang is not null && stage.Phase is Phase.Running && now < due
            && LaunchAccount.Waits(incident, gang, stage.Attempt, seen.AgentsOf(gang)) ? decision
            : decision with
            {
                Next = stage with
                {
                    NewestIncident = incident with
                    {
                        LaunchDue = null,
                        Launch = gang is null ? null : LaunchAccount.Fold(incident, gang, stage.Attempt, seen.AgentsOf(gang)),
                    },
                },
            };
    }

    private static Decision Followed(Stage before, Decision decision, Observation seen, DateTimeOffset now)
    {
        var stage = decision.Next;
        if (Open(stage) is not { } open)
        {
            return stage.Phase is Phase.Running && stage.Phase.GangOrNull is { } gang && Stages.Silence.Of(stage, seen) is { } silence
                ? decision with
                {
                    Next = stage with
                    {
                        NewestIncident = Suspected(stage, gang, silence, now, seen.TimeFactor),
                    },
                }
                : stage.Phase is Phase.Running { Gang: var whole } && Advice(stage, whole, seen, now) is { } told
                    ? decision with { Next = told } : decision;
        }

        var next = Moved(open, before, stage, seen, now);
        return ReferenceEquals(next, open) ? decision
            : decision with { Next = Told(stage with { NewestIncident = next }, open, next, now) };
    }

    private static Stage? Advice(Stage stage, GangGrant gang, Observation seen, DateTimeOffset now) =>
        StageFullDisk.Found(stage, gang, NumberOf(stage), seen, now) ?? StageStore.Found(stage, gang, NumberOf(stage), seen, now)
        ?? StageStragglers.Found(stage, gang, NumberOf(stage), seen, now);

    private static Incident Moved(Incident open, Stage before, Stage stage, Observation seen, DateTimeOffset now)
    {
        if (stage.Round != before.Round)
        {
            return IncidentMachine.Leave(open, $"a person took over: {stage.Wish.Reason}", now);
        }

        if (open is { ToldAfterwards.Length: > 0 } && stage.Phase is Phase.Running)
        {
            return MovedAfterwards(open, stage, seen);
        }

        long newest = seen.Latest is { } sample && sample.Attempt == stage.Attempt ? sample.Step : 0;
        return stage.Phase switch
        {
            Phase.Paused or Phase.Cancelled => IncidentMachine.Leave(open, $"a person took over: {stage.Wish.Reason}", now),
            Phase.Completed => IncidentMachine.Leave(IncidentMachine.Verify(open, ToldOf(stage, seen), long.MaxValue, now),
                "the stage has ended", now),
            Phase.Failed failed => IncidentMachine.GiveUp(open, failed.Why, now),
            Phase.Running { Gang: var gang } when open.Withheld && FaultDetector.Find(stage.Watched, gang, seen, now) is null =>
                IncidentMachine.WentOn(open, now),
            Phase.Running when open.Advice => open.Diagnosis?.Cause switch
            {
                StageFullDisk.Cause => StageFullDisk.Moved(open, stage, now),
                StageDamage.Cause => StageDamage.Moved(open, stage, now),
                StageStore.Cause => StageStore.Moved(open, before, stage, now),
                _ => StageStragglers.Moved(open, stage, seen, now),
            },
            Phase.Running when open.State == IncidentState.Acting =>
                IncidentMachine.Began(open, stage.LaunchedFrom + 1, PhasesOf(open, stage, seen, now), now),
            Phase.Running when open.State == IncidentState.Verifying => IncidentMachine.Verify(open, ToldOf(stage, seen), newest, now),
            Phase.Running when open.State == IncidentState.Suspected && Stages.Silence.Of(stage, seen) is null =>
                IncidentMachine.HeardAgain(open, now),
            _ => open,
        };
    }

    /// <summary>By the stamps of the steps themselves: all of it may have been over when it was told.</summary>
    private static Incident MovedAfterwards(Incident open, Stage stage, Observation seen)
    {
        var since = open.Diagnosis?.At ?? open.OpenedAt;
        var made = seen.Losses.Where(l => l.Attempt == stage.Attempt && l.At > since).ToList();
        if (made.Count == 0)
        {
            return open;
        }

        var first = made.MinBy(l => l.Step);
        var began = IncidentMachine.Began(open, first.Step, PhasesOf(open, stage, seen, first.At), first.At);
        var last = made.MaxBy(l => l.At);
        return IncidentMachine.Verify(began, [.. made.Select(l => new StepLoss(l.Step, l.Loss))], last.Step, last.At);
    }

    private static Stage Told(Stage stage, Incident before, Incident next, DateTimeOffset now) => (before.State, next) switch
    {
        (IncidentState.Verifying, { State: IncidentState.Closed, Outcome: { BackAt: not null } outcome }) =>
            stage.Say(now, "verified", EventLevel.Info,
                $"incident {next.Number} is closed: past step {next.Diagnosis?.Step}, and {outcome.Proof}"),
        (IncidentState.Diagnosed, { State: IncidentState.Closed, Outcome.BackAt: not null }) =>
            stage.Say(now, next.Diagnosis?.Cause switch
            {
                StageFullDisk.Cause => "disk-free",
                StageDamage.Cause => "checkpoint-whole",
                StageStore.Cause => "store-back",
                _ => "straggler-over",
            }, EventLevel.Info,
                $"incident {next.Number} is closed: {next.Sentence}"),
        (IncidentState.Verifying, { State: IncidentState.NeedsHuman }) =>
            stage.Say(now, "needs-person", EventLevel.Error, $"incident {next.Number}: {next.Sentence}"),
        _ => stage,
    };

    /// <summary>Whatever begins an incident, the one before it is kept until the ledger has surely heard of its end.</summary>
    public static Stage WithBefore(Stage before, Stage next) =>
        before.NewestIncident is { } old && next.NewestIncident is { } newest && newest.Number > old.Number
            ? next with { IncidentBefore = old } : next;

    private static Incident? Open(Stage stage) => stage.NewestIncident is { Open: true } open ? open : null;

    /// <summary>Of the incident that is open, or would begin now.</summary>
    private static int NumberOf(Stage stage) =>
        stage.NewestIncident is not { } newest ? 1 : newest.Open ? newest.Number : newest.Number + 1;

    private static Incident Suspected(Stage stage, GangGrant gang, Stages.Silence silence, DateTimeOffset now, double factor)
    {
        var suspected = IncidentMachine.Suspect(stage.Id, NumberOf(stage), gang.Slots, silence.Words, silence.Node, now);
        return suspected with { TimeFactor = factor };
    }

    private static Incident Begin(Stage stage, GangGrant gang, Failure failure, Observation seen) =>
        new(stage.Id, NumberOf(stage), IncidentState.Diagnosed, failure.NoticedAt, "", gang.Slots, []) { TimeFactor = seen.TimeFactor };

    private static ImmutableArray<StepLoss> ToldOf(Stage stage, Observation seen) =>
        [.. seen.Losses.Where(l => l.Attempt == stage.Attempt).Select(l => new StepLoss(l.Step, l.Loss))];

    /// <summary>They add up to the time from the failure to the first new step.</summary>
    private static ImmutableArray<IncidentPhase> PhasesOf(Incident open, Stage stage, Observation seen, DateTimeOffset now)
    {
        var launch = stage.Phase.GangOrNull is { } gang ? seen.LaunchOf(gang) : ImmutableDictionary<string, double>.Empty;
        var happened = open.HappenedAt ?? open.OpenedAt;
        var noticed = (open.Diagnosis?.At ?? now) - happened;
        var left = now - happened - noticed;
        var phases = ImmutableArray.CreateBuilder<IncidentPhase>();
        phases.Add(new("noticed", noticed));
        foreach (string name in new[] { "spawn", "load", "restore", "first_step" })
        {
            var took = TimeSpan.FromSeconds(launch.GetValueOrDefault(name)) / seen.TimeFactor;
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
