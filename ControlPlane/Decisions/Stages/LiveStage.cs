using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>What <see cref="StagePlanner"/> asks about a gang that is to train.</summary>
internal static class LiveStage
{
    /// <summary>The stage's last checkpoint, once it is durable and no rank has anything left to do.</summary>
    public static CheckpointRef? Finished(Stage stage, GangGrant gang, Observation seen)
    {
        if (stage.Checkpoints.LastOrDefault(c => c.State == CheckpointState.Final) is not { } final)
        {
            return null;
        }

        bool busy = seen.AgentsOf(gang).SelectMany(a => a.Ranks)
            .Any(r => r.Attempt == stage.Attempt && r.State is RankState.Starting or RankState.Training or RankState.Saving);
        // Right after a restart of ours nothing is known of the ranks, and they may still be evaluating.
        bool known = gang.Nodes.All(n => seen.AgentOn(n) is { Beaten: true }
            || (seen.Cluster?.Pods.Any(p => p.Gang == gang.Id && p.Node == n && p.Phase is PodPhase.Exited or PodPhase.Stopped) ?? false));
        return busy || !known ? null : final.Ref(stage.Id);
    }

    /// <summary>
    /// A pod of the gang was ended with the whole cluster, by whoever stopped that: the gang has to be made anew, and nothing failed.
    /// </summary>
    public static bool StoppedWithCluster(Stage stage, GangGrant gang, Observation seen) =>
        seen.Cluster?.Pods.Any(p => p.Gang == gang.Id && p.Phase == PodPhase.Stopped) ?? false;

    /// <summary>The step that shows that the current attempt trains.</summary>
    public static long? FirstStep(Stage stage, GangGrant gang, Observation seen)
    {
        if (seen.Latest is { } sample && sample.Attempt == stage.Attempt)
        {
            return Math.Min(sample.Step, stage.LaunchedFrom + 1);
        }

        // A rank that goes on from another step than is known here is ahead of the first one's word, which tells where all do.
        var moved = seen.AgentsOf(gang).SelectMany(a => a.Ranks)
            .Where(r => r.Attempt == stage.Attempt && r.State != RankState.Exited
                && ((r.MadeStep(stage.LaunchedFrom) && (r.BeganAt ?? stage.LaunchedFrom) == stage.LaunchedFrom)
                    || r.State == RankState.Done));
        return moved.Any() ? stage.LaunchedFrom + 1 : null;
    }

    /// <summary>
    /// The checkpoint that the attempt was to begin with was refused, or a rank ended over the one that it was to go on from. A rank that
    /// goes on from an older one by itself is left alone.
    /// </summary>
    public static Failure? RefusedStart(Stage stage, GangGrant gang, Observation seen, DateTimeOffset now)
    {
        bool resume = stage.LaunchedFrom > 0 && !stage.Checkpoints.Any(c => c.Usable && c.Made.Step == stage.LaunchedFrom)
            && stage.Checkpoints.Any(c => c.State == CheckpointState.Quarantined && c.Made.Step == stage.LaunchedFrom)
            && seen.AgentsOf(gang).SelectMany(a => a.Ranks)
                .Any(r => r.Attempt == stage.Attempt && r is { State: RankState.Exited, ExitCode: not ExitCodes.NoCheckpoint });
        var begin = seen.News.Refused.FirstOrDefault(r => r.Path == stage.Wish.BeginFrom?.Path || r.Path == stage.Wish.StudentFrom?.Path);
        // A rank that trains has loaded what it began with; that it is refused later ends nothing.
        if ((!resume && begin is null) || stage.Phase is Phase.Running or Phase.Checking || FirstStep(stage, gang, seen) is not null)
        {
            return null;
        }

        string what = begin is null ? $"the checkpoint of step {stage.LaunchedFrom} was refused"
            : $"checkpoint {begin.Path} of an earlier stage was refused: {begin.Reason}; retry that stage from an earlier checkpoint";
        // A stage cannot choose another beginning, so the same refusal again is the same fault.
        return new Failure(FailureCause.CheckpointRefused, what, begin is null ? "" : what, gang.Nodes[0], false, stage.Attempt,
            stage.LaunchedFrom, now, now);
    }

    public static Decision Progress(Stage stage, GangGrant gang, Observation seen, DateTimeOffset now) => stage.Phase switch
    {
        Phase.Running running when StageCheck.Tried(stage, running, seen) is { } tried => tried,
        Phase.Running running => (StageHolding.Of(stage, now) is null ? StageShrinking.Growth(stage, running, seen, now) : null)
            ?? Train(stage, running, seen, now),
        Phase.Restarting { Leaving: [_, ..] } leaving => StageReforming.LetGo(stage, leaving, seen),
        Phase.Restarting { Joining: [_, ..] } joining => StageReforming.Join(stage, joining, seen, now),
        Phase.Checking checking => StageCheck.Goes(stage, checking, seen, now),
        _ when FirstStep(stage, gang, seen) is { } first => StageCheck.Begins(stage, gang, first, seen, now)
            ?? Begun(stage, gang, first, seen.PhaseFor, seen, now),
        // Also mends a crash between the write of the phase and the making of the pods.
        Phase.Starting when MissingPods(gang, seen) is var missing && missing > 0 =>
            stage.Stay($"{Words.Count(missing, "pod", "pods")} of {gang.Nodes.Length} still to be made", new StageAction.CreatePods(gang)),
        Phase.Restarting when StageReforming.Coming(gang) is var coming && MissingPods(coming, seen) > 0 =>
            stage.Stay($"{stage.Reason}; {Words.Nodes(coming.Nodes)} still to be made a pod for", new StageAction.CreatePods(coming)),
        _ => stage.Stay(Coming(stage, gang, seen)),
    };

    private static Decision Train(Stage stage, Phase.Running running, Observation seen, DateTimeOffset now)
    {
        var doubtful = seen.Cluster?.Nodes.FirstOrDefault(
            n => n.Health is NodeHealth.NotReady or NodeHealth.Cordoned && running.Gang.Nodes.Contains(n.Id));
        long newest = CheckpointChoice.Newest(stage.Checkpoints)?.Made.Step ?? 0;
        if (running.Save is { Stays: true } damaged && newest <= damaged.After)
        {
            return stage.Stay($"trains; asks for a checkpoint, since {damaged.Reason}");
        }

        if (running.Save is { } save && (newest > save.After || doubtful is null))
        {
            // The request stays while the node is in doubt, answered or not: one doubt asks for one checkpoint.
            return doubtful is null ? stage.To(running with { Save = null }, "trains")
                : stage.Stay($"trains; {save.Reason}, saved at step {newest}");
        }

        if (doubtful is not null && running.Save is null)
        {
            string why = $"{doubtful.Id} is {(doubtful.Health == NodeHealth.Cordoned ? "cordoned" : "not ready")}: {doubtful.Reason}";
            return stage.To(running with { Save = new SaveRequest(why, newest) }, $"trains; asks for a checkpoint, since {why}");
        }

        var step = seen.Latest ?? stage.Latest;
        string at = step is null ? "trains" : $"trains at step {step.Step} of {stage.Wish.Work.TotalSteps}";
        at = StageShrinking.Trains(stage, at, seen, now);
        string trains = Silence.Of(stage, seen) is { } silence ? $"{at}; {silence.Words}" : at;
        return stage.Stay(SaveOverdue.Of(stage, seen) is not { } overdue ? trains
            : stage.Wish.Intent == Intent.Pause
                ? $"the pause waits for a checkpoint, so that nothing is lost; {trains}; {overdue}; or cancel the run"
            : $"{trains}; {overdue}");
    }

    /// <param name="launched">From the making of pods or ranks to now.</param>
    public static Decision Begun(Stage stage, GangGrant gang, long first, TimeSpan launched, Observation seen, DateTimeOffset now)
    {
        var launch = seen.LaunchOf(gang);
        double load = (launch.GetValueOrDefault("load") + launch.GetValueOrDefault("restore")) / seen.TimeFactor;
        double firstStep = launch.GetValueOrDefault("first_step") / seen.TimeFactor;
        var took = stage.Incident is { } open ? open.NoticedAt - open.HappenedAt + seen.IncidentFor : launched;
        string text;
        if (stage.Incident is { } incident)
        {
            var noticed = incident.NoticedAt - incident.HappenedAt;
            var restart = took - noticed - TimeSpan.FromSeconds(load + firstStep);
            text = $"trains again: first new step {first} after {Words.Duration(took)} (noticed {Words.Duration(noticed)},"
                + $" restart {Words.Duration(restart)}, load {Words.Duration(TimeSpan.FromSeconds(load))},"
                + $" first step {Words.Duration(TimeSpan.FromSeconds(firstStep))}){Again(stage)}"
                + (stage.Shrunk?.Layout is { } fewer ? $"; on {fewer.InWords}" : "");
        }
        else
        {
            text = $"first step {first} after {Words.Duration(took)} on {Words.Nodes(gang.Nodes)}";
        }

        var told = new RunEvent(now, stage.Id.Run, stage.Id.Stage, stage.Attempt, stage.Incident is null ? "started" : "recovered",
            EventLevel.Info, text)
        {
            Node = gang.Nodes[0].Name,
            Step = first,
            Took = took,
        };
        return StageShrinking.Began(stage with { Incident = null }, seen.PhaseFor, now).Say(told)
            .To(new Phase.Running(gang with { Newcomers = [] }, now, null), StageShrinking.Trains(stage, "trains", seen, now));
    }

    /// <summary>"; 1 step is done again, from step 430, which its ranks had kept in memory". Empty: nobody knows.</summary>
    private static string Again(Stage stage) => stage.StepsAgain is not { } again ? ""
        : (again == 0 ? "; no step is done again" : "; " + Words.Count(again, "step is done again", "steps are done again"))
            + (stage.FromMemory ? $", from step {stage.LaunchedFrom}, which its ranks had kept in memory" : "");

    private static int MissingPods(GangGrant gang, Observation seen)
    {
        if (seen.Cluster is not { } cluster)
        {
            return 0;
        }

        var there = cluster.Pods.Where(p => p.Gang == gang.Id).Select(p => p.Node).ToHashSet();
        return gang.Nodes.Count(n => !there.Contains(n));
    }

    private static string Coming(Stage stage, GangGrant gang, Observation seen)
    {
        int agents = seen.AgentsOf(gang).Count();
        int ranks = seen.Agents.SelectMany(a => a.Ranks).Count(r => r.Attempt == stage.Attempt && r.State != RankState.Exited);
        return $"attempt {stage.Attempt} from step {stage.LaunchedFrom}: {agents} of {gang.Nodes.Length} agents are here,"
            + $" {ranks} of {gang.Slots} ranks launched, no step yet" + (Silence.Of(stage, seen) is { } silence
                ? $"; {silence.Words}" : "") + Waiting(gang, seen);
    }

    /// <summary>An image that cannot be pulled, or a volume that is not there, would else be a start that takes long.</summary>
    private static string Waiting(GangGrant gang, Observation seen)
    {
        var waiting = (seen.Cluster?.Pods ?? [])
            .Where(p => p.Gang == gang.Id && p is { Phase: PodPhase.Pending, Cause.Length: > 0 }).ToList();
        return waiting.Count == 0 ? ""
            : $"; {Words.Count(waiting.Count, "pod waits", "pods wait")}, on {waiting[0].Node}: {waiting[0].Cause}";
    }
}
