using System.Diagnostics;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recovery;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>Turns what the <see cref="Ladder"/> says into the stage's own moves.</summary>
public static class StageRecovery
{
    internal static Decision Recover(Stage stage, GangGrant gang, Failure found, Observation seen, DateTimeOffset now)
    {
        bool madeStep = stage.Phase is Phase.Running or Phase.Checking || LiveStage.FirstStep(stage, gang, seen) is not null;
        var climbed = Ladder.Climb(Failed(stage, gang, found, madeStep, now));
        var (failure, remedy) = climbed;
        var evidence = StageIncidents.EvidenceOf(stage, gang, failure, seen);
        var left = remedy switch
        {
            Remedy.WithoutBatch without => LeaveOut(stage, without.Broke),
            Remedy.AfterRise rise => AfterRise(stage, rise.Act),
            _ => stage,
        };
        string stays = remedy is Remedy.AnotherGang ? StageReforming.InWords(stage, gang, failure, seen, now) : "";
        left = StageIncidents.Diagnosed(left, gang, climbed, stays.Length > 0 ? stays : InWords(remedy), seen);
        var decision = remedy switch
        {
            Remedy.GiveUp given =>
                Tell(left, failure, InWords(given), now).Stop(gang, new Ending.Fail(given.Reason), given.Reason, now),
            Remedy.AnotherGang elsewhere => Elsewhere(Count(left, failure, madeStep, now), gang, failure, elsewhere, seen, now),
            Remedy.WithoutBatch without => Again(Count(left, failure, madeStep, now), gang, failure, InWords(without), without.After, now),
            Remedy.AfterRise => Again(Count(left, failure, madeStep, now), gang, failure, "", TimeSpan.Zero, now),
            Remedy.InPlace here => Again(Count(left, failure, madeStep, now), gang, failure, InWords(here), here.After, now),
            _ => throw new UnreachableException($"remedy {remedy}"),
        };
        return decision with { Keep = evidence, Met = failure };
    }

    internal static FailedAttempt Failed(Stage stage, GangGrant gang, Failure failure, bool madeStep, DateTimeOffset now) =>
        new(stage.Watched, failure, madeStep, stage.Restarts, stage.Wish.BeginFrom is null, now)
        {
            Unchecked = StageCheck.Unchecked(stage, gang),
            Avoided = stage.Avoid,
        };

    internal static string InWords(Remedy remedy) => remedy switch
    {
        Remedy.GiveUp => "no further launch",
        Remedy.AnotherGang elsewhere => $"a new gang that avoids {elsewhere.Avoid}{Wait(elsewhere.After)}",
        Remedy.WithoutBatch without => WithoutBatch.InWords(without.Broke),
        Remedy.AfterRise rise => rise.Act.Reason.TrimEnd('.'),
        Remedy.InPlace here => $"restarting in place{Wait(here.After)}",
        _ => throw new UnreachableException($"remedy {remedy}"),
    };

    internal static Decision RollBack(Stage stage, GangGrant gang, Observation seen, DateTimeOffset now)
    {
        long step = seen.Latest?.Step ?? stage.LaunchedFrom;
        var begun = stage.BeginRound(now);
        var failure = new Failure(FailureCause.RolledBack, $"rolled back at step {step}: {stage.Wish.Reason}", "", gang.Nodes[0], false,
            stage.Attempt, step, now, now);
        return Tell(Count(begun, failure, madeStep: true, now), failure, CheckpointChoice.FromWhere(begun.Checkpoints), now)
            .RestartInPlace(gang, now);
    }

    /// <summary>
    /// Writes a failure into the budget, but not that of a new node, and opens the incident; one that is open already keeps its beginning.
    /// </summary>
    private static Stage Count(Stage stage, Failure failure, bool madeStep, DateTimeOffset now) => stage with
    {
        Restarts = failure.OfNewNode ? stage.Restarts
            : stage.Restarts.Add(new Restart(now, failure.Cause, failure.Signature, stage.Attempt, madeStep, failure.Node)),
        RestartsByCause = failure.OfNewNode ? stage.RestartsByCause
            : stage.RestartsByCause.SetItem(failure.Cause, stage.RestartsByCause.GetValueOrDefault(failure.Cause) + 1),
        Incident = stage.Incident is { } open ? failure with { HappenedAt = open.HappenedAt, NoticedAt = open.NoticedAt } : failure,
    };

    internal static Stage Tell(Stage stage, Failure failure, string remedy, DateTimeOffset now) =>
        stage.Say(new RunEvent(now, stage.Id.Run, stage.Id.Stage, stage.Attempt, failure.Cause.InWords().Replace(' ', '-'),
            failure.Cause == FailureCause.RolledBack ? EventLevel.Info : EventLevel.Warning, $"{failure.Sentence}; {remedy}")
        {
            Node = failure.Cause is FailureCause.BadInput or FailureCause.NoCheckpoint ? "" : failure.Node.Name,
            Step = failure.Step,
            Took = failure.NoticedAt - failure.HappenedAt,
        });

    /// <summary>Takes the broken batch out of all launches to come, and what was saved at or after its step out of use.</summary>
    public static Stage LeaveOut(Stage stage, NotFinite broke) => stage with
    {
        LeftOut = WithoutBatch.Add(stage.LeftOut, broke, stage.Attempt),
        Checkpoints = [.. stage.Checkpoints.Select(c => c.Usable && c.Made.Attempt == stage.Attempt && c.Made.Step >= broke.Step
            ? c with { State = CheckpointState.Quarantined, Reason = $"made after {broke.Sentence}" } : c)],
    };

    /// <summary>
    /// A loss rose and stayed up. What is done follows the recipe; a hold only says so, and the run, which hears of it, asks for the pause.
    /// </summary>
    internal static Decision Risen(Stage stage, GangGrant gang, SpikeVerdict rise, Observation seen, DateTimeOffset now)
    {
        var answer = LossRise.Decide(stage.Watched, rise, now);
        var answered = stage with { Rise = null };
        if (answer is not LossAnswer.Act act)
        {
            var held = answered with { Hold = answer is LossAnswer.Hold ? answer.Words : stage.Hold };
            return held.To(held.Phase, answer.Words);
        }

        var failure = new Failure(FailureCause.LossRose, $"{rise.Reason}. {act.Words}", "", gang.Nodes[0], false, stage.Attempt,
            rise.FlaggedAt, now, now)
        { Act = act.What };
        return Recover(answered, gang, failure, seen, now);
    }

    /// <summary>What the launches to come train, and with which rate; what was saved in the rise is out of use.</summary>
    private static Stage AfterRise(Stage stage, LossAct act) => stage with
    {
        LossActs = stage.LossActs.Add(act),
        LossMemories = [.. stage.LossMemories.Where(m => !act.Forbids(m.Step, m.Attempt))],
        Checkpoints = [.. stage.Checkpoints.Select(c => c.Usable && act.Forbids(c.Made.Step, c.Made.Attempt)
            ? c with { State = CheckpointState.Quarantined, Reason = $"made when the loss had risen at step {act.FlaggedAt}" } : c)],
    };

    private static Decision Elsewhere(
        Stage counted, GangGrant gang, Failure failure, Remedy.AnotherGang remedy, Observation seen, DateTimeOffset now)
    {
        var moved = counted with
        {
            Avoid = counted.Avoid.RemoveAll(a => a.Node == remedy.Avoid).Add(new(remedy.Avoid, failure.Sentence, now)
            {
                WasNew = failure.OfNewNode,
                Signature = failure.Signature,
            }),
        };
        // No back-off: it is fewer nodes each time, or others that did not fail, so that it comes to an end.
        if (StageReforming.FormAgain(moved, gang, failure, seen, now) is { } again)
        {
            return again;
        }

        string free = failure.OfNewNode ? ", which costs the run none of its restarts" : "";
        string words = $"{InWords(remedy)}{free}; {CheckpointChoice.FromWhere(counted.Checkpoints)}";
        return Tell(moved, failure, words, now)
            .Stop(gang, new Ending.Relaunch(failure.Sentence, now + remedy.After), failure.Sentence, now);
    }

    private static Decision Again(Stage counted, GangGrant gang, Failure failure, string remedy, TimeSpan after, DateTimeOffset now)
    {
        string memory = counted.KeepsInMemory() && failure.Cause is not (FailureCause.NotFinite or FailureCause.LossRose)
            ? ", or from a later one that its ranks have kept" : "";
        string from = $"{CheckpointChoice.FromWhere(counted.Checkpoints)}{memory}";
        var told = Tell(counted, failure, remedy.Length == 0 ? from : $"{remedy}; {from}", now);
        return after > TimeSpan.Zero
            ? told.To(new Phase.BackingOff(gang, now, now + after), $"{failure.Sentence}; the next launch waits {Words.Duration(after)}")
            : told.RestartInPlace(gang, now);
    }

    private static string Wait(TimeSpan after) => after > TimeSpan.Zero ? $" after {Words.Duration(after)}" : "";
}
