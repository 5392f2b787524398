using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recovery;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// While a person holds the run: what would end, replace, move or launch again is not done, and is said. What a person asks of this run
/// (pause, cancel, retry, give its nodes up) is done as ever, and so is what follows a number that is not finite.
/// </summary>
internal static class StageHolding
{
    public static PersonsHold? Of(Stage stage, DateTimeOffset now) =>
        stage.Wish.Held is { } hold && hold.StandsFor(stage.Id.Stage, now) ? hold : null;

    /// <summary>Null: nothing would be done.</summary>
    public static Decision? Live(Stage stage, GangGrant gang, PersonsHold hold, Observation seen, DateTimeOffset now)
    {
        if (LiveStage.StoppedWithCluster(stage, gang, seen))
        {
            return stage.Stay($"the cluster was stopped with everything on it and is back; {hold.InWords}: would have asked for a new gang"
                + $"; {CheckpointChoice.FromWhere(stage.Checkpoints)}");
        }

        if ((LiveStage.RefusedStart(stage, gang, seen, now) ?? FaultDetector.Find(stage.Watched, gang, seen, now)) is { } failure)
        {
            return Withhold(stage, gang, hold, failure, seen, now);
        }

        if (stage.Rise is not { } rise || LossRise.Decide(stage.Watched, rise, now) is LossAnswer.Tell or null)
        {
            return null;
        }

        var goesOn = LiveStage.Progress(stage, gang, seen, now);
        string would = LossRise.Decide(stage.Watched, rise, now).Words.TrimEnd('.');
        return goesOn with { Reason = $"{goesOn.Reason}; the loss rose; {hold.InWords}: would have done this: {would}" };
    }

    /// <summary>It stays on its nodes although the queue, maintenance or a drain wants it away, and says so.</summary>
    public static Decision Stays(Stage stage, GangGrant gang, Decision decision, Observation seen, DateTimeOffset now) =>
        Withheld(stage, gang, seen, now) is not { } asked || decision.Next.Phase is Phase.Stopping ? decision : decision with
        {
            Reason = $"{decision.Reason}; {Of(stage, now)!.InWords}: stays, although asked to leave: {asked.Reason}"
                + (asked.For is null ? "; whoever switches the node off ends it all the same" : ""),
        };

    /// <summary>What would have ended the gang, had nobody held it. Null: nothing, or a person asked this gang to leave.</summary>
    public static Preemption? Withheld(Stage stage, GangGrant gang, Observation seen, DateTimeOffset now) =>
        seen.Preemption is { ByPerson: false } asked && asked.Victim == gang.Id && Of(stage, now) is not null ? asked : null;

    /// <summary>Nothing trains, since a person keeps automation from mending it.</summary>
    public static bool Stands(Stage stage, DateTimeOffset now) => Of(stage, now) is not null
        && stage.Phase switch
        {
            Phase.BackingOff backing => now >= backing.Until,
            Phase.Starting or Phase.Checking or Phase.Running or Phase.Restarting => stage.NewestIncident is { Withholds: true },
            _ => false,
        };

    /// <summary>A launch that would follow. Null: it is not held.</summary>
    public static Decision? Launch(Stage stage, string what, DateTimeOffset now) => Of(stage, now) is not { } hold ? null
        : stage.Stay($"{hold.InWords}: would have {what}; {CheckpointChoice.FromWhere(stage.Checkpoints)}");

    /// <summary>A launch after a failure. One that a person asked for, or that follows a preemption, repairs nothing.</summary>
    public static bool AsksAgain(Stage stage, DateTimeOffset now) =>
        Of(stage, now) is not null && stage.Incident is not null && stage.Wish.Round == stage.Round;

    private static Decision Withhold(
        Stage stage, GangGrant gang, PersonsHold hold, Failure failure, Observation seen, DateTimeOffset now)
    {
        bool madeStep = stage.Phase is Phase.Running or Phase.Checking || LiveStage.FirstStep(stage, gang, seen) is not null;
        var climbed = Ladder.Climb(StageRecovery.Failed(stage, gang, failure, madeStep, now));
        string would = $"{hold.InWords}: would have done this: {StageRecovery.InWords(climbed.Remedy)}";
        string words = $"{climbed.Failure.Sentence.TrimEnd('.')}; {would}";
        if (IsKnown(stage.NewestIncident, failure))
        {
            return stage.Stay(words);
        }

        var next = StageIncidents.Withheld(stage, gang, climbed, would, seen)
            .Say(new RunEvent(now, stage.Id.Run, stage.Id.Stage, stage.Attempt, "withheld", EventLevel.Warning, words)
            {
                Node = climbed.Failure.Node.Name,
                Step = failure.Step,
            });
        return next.To(next.Phase, words) with
        {
            Keep = StageIncidents.EvidenceOf(stage, gang, climbed.Failure, seen),
            Met = climbed.Failure,
        };
    }

    /// <summary>One failure of an attempt, or one that somebody works on: what follows from it is not told as another.</summary>
    private static bool IsKnown(Incident? newest, Failure failure) => newest is not null && (newest.Withheld || newest.TakenBy.Length > 0)
        && (newest.FailedAttempts.IsEmpty || newest.FailedAttempts.Contains(failure.Attempt));
}
