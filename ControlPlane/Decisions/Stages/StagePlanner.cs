using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// Level-triggered: the same stage and observation give the same decision, so a tick that crashed after its write and before its
/// actions is finished by the next one. Every transition of a stage is in this switch and what it calls.
/// </summary>
public static class StagePlanner
{
    /// <summary>How long a gang that only has to end, not to save, may take before the cluster ends it.</summary>
    private static readonly TimeSpan EndByItself = TimeSpan.FromSeconds(3);

    /// <summary>
    /// An agent that was not answered for two hours has 40,000 samples to tell, a thousand a beat: some seconds where the database keeps
    /// up. Beyond this it does not, and nodes are not held for points of a curve.
    /// </summary>
    public static readonly TimeSpan TellWithin = TimeSpan.FromMinutes(5);

    /// <summary>Of one agent, whatever it says: more than any keeps, and thousands of them are still a number.</summary>
    private const int UntoldMax = 100_000;

    public static Decision Decide(Stage stage, Observation seen, DateTimeOffset now)
    {
        var informed = StageReading.Advance(StageHands.Take(StageNews.Take(stage, seen, now), now), seen, now);
        var decision = StageUndo.Answer(informed, seen, now) ?? informed.Phase switch
        {
            Phase.Waiting => FromWaiting(informed, now),
            Phase.Queued => FromQueued(informed, seen, now),
            Phase.Starting p => Live(informed, p.Gang, seen, now),
            Phase.Checking p => Live(informed, p.Gang, seen, now),
            Phase.Running p => Live(informed, p.Gang, seen, now),
            Phase.Restarting p => Live(informed, p.Gang, seen, now),
            Phase.Stopping p => FromStopping(informed, p, seen, now),
            Phase.BackingOff p => FromBackingOff(informed, p, seen, now),
            Phase.Paused => FromPaused(informed, now),
            Phase.Completed or Phase.Failed or Phase.Cancelled => FromEnd(informed, now),
            _ => throw new UnreachableException($"phase {informed.Phase}"),
        };
        decision = StageIncidents.Follow(stage, decision, seen, now);
        var next = WithLatest(decision.Next, stage, seen);
        return ReferenceEquals(next, stage) ? decision : decision with
        {
            Next = StageBooks.Enter(stage, next, seen, decision.Met, now),
            Keep = decision.Keep ?? StageIncidents.EvidenceAfterwards(stage, next, seen),
        };
    }

    /// <summary>
    /// The decision moves the stage, and so may choose what the next launch goes on from: it is taken again with the stage's folder looked
    /// at. Looking is for these moments, not for each tick.
    /// </summary>
    public static bool WantsLook(Stage before, Stage next) =>
        before.Attempt != next.Attempt || before.Phase.GetType() != next.Phase.GetType();

    /// <summary>
    /// The nodes that the stage asks for. One that trains with fewer asks whether there is room for all of it, and gets none by it.
    /// Null: it asks for none.
    /// </summary>
    public static GangRequest? RequestFor(Stage stage) => (stage.Phase, stage.Wish.Intent) switch
    {
        (Phase.Queued queued, Intent.Train) => Request(stage, StageShrinking.Asked(stage), queued.Since),
        (Phase.Running { Gang: var gang }, Intent.Train) when stage.Shrunk?.Layout is not null =>
            InStead(stage, gang),
        (Phase.Restarting { Leaving: [], Joining: [_, ..] } joining, Intent.Train) => StageReforming.Claim(stage, joining),
        _ => null,
    };

    /// <summary>What would become of the whole request, if this gang gave its nodes back.</summary>
    public static GangRequest InStead(Stage stage, GangGrant gang) =>
        Request(stage, stage.Wish.Work.Nodes, gang.At) with
        {
            InStead = gang.Id,
            MayShrink = StageShrinking.MayShrinkOnceItTrains(stage),
        };

    private static GangRequest Request(Stage stage, int nodes, DateTimeOffset since)
    {
        var (work, needs) = (stage.Wish.Work, stage.Wish.Work.Needs);
        double left = 1 - ((double)stage.LaunchedFrom / Math.Max(1, work.TotalSteps));
        return new GangRequest(stage.Id, stage.Attempt, nodes, work.SlotsPerNode, work.Priority, work.Team, since,
            stage.Avoid.ToImmutableDictionary(a => a.Node, a => a.Reason))
        {
            Expected = needs.Expected * left / (nodes < work.Nodes ? stage.Shrunk?.Layout?.Rate ?? 1 : 1),
            ExpectedError = needs.ExpectedError,
            ExpectedBasis = $"the plan (stated error {needs.ExpectedError:P0})",
            GroupNodes = needs.GroupNodes,
            SaveTime = needs.SaveTime,
            Group = needs.Group,
            Options = needs.Options,
            MayShrink = StageShrinking.MayShrink(stage),
            // Its work waits half done for the sake of a node that broke.
            Restores = stage.Incident is { NodeIsSuspect: true } || stage.Shrunk is not null,
        };
    }

    private static Decision FromWaiting(Stage stage, DateTimeOffset now) => stage.Wish.Intent switch
    {
        Intent.Train => stage.Queue(now),
        Intent.Pause => stage.Pause(now),
        Intent.Cancel => stage.Cancel(now),
        _ => throw new UnreachableException($"intent {stage.Wish.Intent}"),
    };

    private static Decision FromQueued(Stage stage, Observation seen, DateTimeOffset now)
    {
        if (stage.Wish.Intent != Intent.Train)
        {
            return StopByWish(stage, stage.NoNodes(now), now, saveWithin: null);
        }

        if (stage.Wish.Round > stage.Round)
        {
            var again = stage.BeginRound(now);
            return again.Stop(again.NoNodes(now), new Ending.Relaunch(stage.Wish.Reason, now), "asks again, for the retry", now);
        }

        if (StageHolding.AsksAgain(stage, now))
        {
            const string Why = "asks for no nodes while it is held";
            return stage.Stop(stage.NoNodes(now), new Ending.Relaunch(Why, now), Why, now);
        }

        if (seen.Placement is not PlacementDecision.Placed placed || placed.Grant.Id.Number != stage.Attempt)
        {
            return seen.Placement is PlacementDecision.Pending pending ? StageShrinking.Queued(stage, pending, now)
                : stage.Stay(seen.Placement?.Reason ?? "waits for an answer about nodes");
        }

        string why = placed.Reason + StageCheck.Announced(stage, placed.Grant);
        var told = new RunEvent(now, stage.Id.Run, stage.Id.Stage, stage.Attempt, "placed", EventLevel.Info, why)
        {
            Node = placed.Grant.Nodes[0].Name,
        };
        return stage.Say(told).To(new Phase.Starting(placed.Grant, now), why, new StageAction.CreatePods(placed.Grant));
    }

    /// <summary>A gang holds nodes and is to train: starting, checking, running or restarting.</summary>
    private static Decision Live(Stage stage, GangGrant gang, Observation seen, DateTimeOffset now) =>
        StageHolding.Stays(stage, gang, Led(stage, gang, seen, now), seen, now);

    private static Decision Led(Stage stage, GangGrant gang, Observation seen, DateTimeOffset now)
    {
        // Before all else: what ends with numbers that are not finite, or with a loss that rose, is not done, whatever it has saved.
        var broke = NumberBreak.Find(stage.Watched, gang, seen, now);
        if (broke is null && stage.Rise is null && LiveStage.Finished(stage, gang, seen) is { } final)
        {
            return stage.Stop(gang, new Ending.Complete(final), $"step {final.Step} is the last and its checkpoint durable", now,
                EndByItself);
        }

        // A pause that cannot save would throw away what was trained: it waits, and training goes on.
        bool waits = stage.Wish.Intent == Intent.Pause && SaveOverdue.Of(stage, seen) is not null;
        if (stage.Wish.Intent != Intent.Train && !waits)
        {
            return StopByWish(stage, gang, now, stage.Policy.SaveWithin);
        }

        if (stage.Wish.Round > stage.Round)
        {
            return StageRecovery.RollBack(stage, gang, seen, now);
        }

        if (seen.Preemption is { } preemption && preemption.Victim == gang.Id && StageHolding.Withheld(stage, gang, seen, now) is null)
        {
            return stage.Say(now, preemption.For is null ? "drained" : "preempted", EventLevel.Warning, preemption.Reason)
                .Stop(gang, new Ending.Relaunch(preemption.Reason, now), preemption.Reason, now, preemption.Grace);
        }

        if (seen.Cluster?.Stopping == true)
        {
            return stage.Stay("the cluster is being stopped; goes on at its next start");
        }

        if (broke is null && StageHolding.Of(stage, now) is { } hold && StageHolding.Live(stage, gang, hold, seen, now) is { } withheld)
        {
            return withheld;
        }

        if (LiveStage.StoppedWithCluster(stage, gang, seen))
        {
            const string Why = "the cluster was stopped with everything on it and is back";
            return stage.Say(now, "cluster-stopped", EventLevel.Info, $"{Why}: a new gang; {CheckpointChoice.FromWhere(stage.Checkpoints)}")
                .Stop(gang, new Ending.Relaunch(Why, now), Why, now);
        }

        if (broke is not null)
        {
            return StageRecovery.Recover(stage, gang, broke, seen, now);
        }

        if (LiveStage.RefusedStart(stage, gang, seen, now) is { } refused)
        {
            return StageRecovery.Recover(stage, gang, refused, seen, now);
        }

        if (FaultDetector.Find(stage.Watched, gang, seen, now) is { } failure)
        {
            return StageRecovery.Recover(stage, gang, failure, seen, now);
        }

        return stage.Rise is { } rise ? StageRecovery.Risen(stage, gang, rise, seen, now) : LiveStage.Progress(stage, gang, seen, now);
    }

    private static Decision FromStopping(Stage stage, Phase.Stopping stopping, Observation seen, DateTimeOffset now)
    {
        if (seen.GoneGang == stopping.Gang.Id)
        {
            return AfterStop(stage, stopping.Then, now);
        }

        if (stage.Wish.Intent == Intent.Cancel && stopping.Then is Ending.Pause or Ending.Relaunch)
        {
            return StopByWish(stage, stopping.Gang, now, saveWithin: null);
        }

        var left = (stopping.SaveWithin ?? TimeSpan.Zero) - seen.PhaseWatchedFor;
        bool ended = seen.Cluster is { } cluster && !cluster.Pods.Any(
            p => p.Gang == stopping.Gang.Id && p.Phase is not (PodPhase.Exited or PodPhase.Stopped));
        if (left <= TimeSpan.Zero && !ended && Untold(stopping, seen) is > 0 and var untold)
        {
            return stage.Stay($"{stage.Reason}; its agents have {Words.Count(untold, "report", "reports")} left to send");
        }

        return left > TimeSpan.Zero && !ended
            ? stage.Stay($"{stage.Reason}; the gang has {Words.Duration(left)} to end by itself")
            : stage.Stay($"{stage.Reason}; waiting until the cluster is certain that nothing of gang {stopping.Gang.Id.Number} runs",
                new StageAction.EndGang(stopping.Gang.Id, stage.Reason));
    }

    /// <summary>
    /// What would be lost with the agents of a gang that ends: nobody comes after them who would tell it. Another gang of the stage reads
    /// it from the disk, and who cancels does not want to wait.
    /// </summary>
    private static int Untold(Phase.Stopping stopping, Observation seen) =>
        stopping.Then is Ending.Relaunch or Ending.Cancel || seen.PhaseWatchedFor >= TellWithin ? 0
            : seen.AgentsOf(stopping.Gang).Where(a => seen.SilenceOf(a) < FaultDetector.Fresh).Sum(a => Math.Min(a.Untold, UntoldMax));

    /// <summary>Nothing of the gang runs any more. What is done is done; otherwise the newest wish counts.</summary>
    private static Decision AfterStop(Stage stage, Ending then, DateTimeOffset now) => (then, stage.Wish.Intent) switch
    {
        (Ending.Complete complete, _) => stage.Complete(complete.Final, now),
        (_, Intent.Cancel) => stage.Cancel(now),
        (Ending.Fail fail, _) => stage.Fail(fail.Why, now),
        (_, Intent.Pause) => stage.Pause(now),
        (Ending.Relaunch relaunch, Intent.Train) when relaunch.NotBefore > now => Wait(stage, relaunch, now),
        (Ending.Relaunch held, Intent.Train) when StageHolding.AsksAgain(stage, now) => Wait(stage, held, now),
        (Ending.Relaunch again, Intent.Train) => TakeUp(stage, now).Queue(now, again.Layout),
        (Ending.Pause or Ending.Cancel, Intent.Train) => TakeUp(stage, now).Queue(now),
        _ => throw new UnreachableException($"{then}, {stage.Wish.Intent}"),
    };

    /// <summary>A clock that was set back meanwhile makes no wait longer than the longest.</summary>
    private static Decision Wait(Stage stage, Ending.Relaunch relaunch, DateTimeOffset now)
    {
        var until = relaunch.NotBefore > now ? relaunch.NotBefore - now : TimeSpan.Zero;
        var left = until < stage.Policy.BackOffMax ? until : stage.Policy.BackOffMax;
        return stage.To(new Phase.BackingOff(null, now, now + left), $"{relaunch.Why}; the next launch waits {Words.Duration(left)}");
    }

    private static Decision FromBackingOff(Stage stage, Phase.BackingOff waiting, Observation seen, DateTimeOffset now)
    {
        if (stage.Wish.Intent != Intent.Train)
        {
            return waiting.Gang is { } held ? StopByWish(stage, held, now, saveWithin: null)
                : stage.Wish.Intent == Intent.Pause ? stage.Pause(now) : stage.Cancel(now);
        }

        if (stage.Wish.Round == stage.Round
            && StageHolding.Launch(stage, waiting.Gang is null ? "asked for nodes again" : "launched again in place", now) is { } withheld)
        {
            return withheld;
        }

        if (waiting.Gang is { } gang && FaultDetector.Find(stage.Watched, gang, seen, now) is { NodeIsSuspect: true } lost)
        {
            return StageRecovery.Recover(stage, gang, lost, seen, now);
        }

        var left = waiting.Until - waiting.Since - seen.PhaseFor;
        if (left > TimeSpan.Zero && stage.Wish.Round == stage.Round)
        {
            return stage.Stay($"the next launch waits {Words.Duration(left)} more");
        }

        var next = TakeUp(stage, now);
        return waiting.Gang is { } kept ? next.RestartInPlace(kept, now) : next.Queue(now);
    }

    private static Decision FromPaused(Stage stage, DateTimeOffset now) => stage.Wish.Intent switch
    {
        Intent.Train => TakeUp(stage.Say(now, "resumed", EventLevel.Info, $"goes on after the pause: {stage.Wish.Reason}"), now).Queue(now),
        Intent.Cancel => stage.Cancel(now),
        Intent.Pause => stage.Stay(stage.Reason),
        _ => throw new UnreachableException($"intent {stage.Wish.Intent}"),
    };

    private static Decision FromEnd(Stage stage, DateTimeOffset now) =>
        stage.Wish is { Intent: Intent.Train } wish && wish.Round > stage.Round
            ? stage.BeginRound(now).Queue(now)
            : stage.Stay(stage.Reason);

    private static Stage TakeUp(Stage stage, DateTimeOffset now) => stage.Wish.Round > stage.Round ? stage.BeginRound(now) : stage;

    private static Decision StopByWish(Stage stage, GangGrant gang, DateTimeOffset now, TimeSpan? saveWithin) =>
        stage.Wish.Intent == Intent.Pause
        // Whoever asked for the hold has been heard: a person's resume, however soon, is not answered by it again.
        ? (stage with { Hold = "" }).Stop(gang, new Ending.Pause(stage.Wish.Reason), $"pausing: {stage.Wish.Reason}", now, saveWithin)
        : stage.Stop(gang, new Ending.Cancel(stage.Wish.Reason), $"cancelling: {stage.Wish.Reason}", now);

    /// <summary>A record that is written anyway takes the newest sample along, for views after a restart.</summary>
    private static Stage WithLatest(Stage next, Stage before, Observation seen) =>
        ReferenceEquals(next, before) || seen.Latest is null || next.Round != before.Round ? next : next with { Latest = seen.Latest };
}
