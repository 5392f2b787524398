using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// What an agent is told, from the stage as it is written and what the agent just said. The attempt's number fences out the past.
/// </summary>
public static class WorkerOrders
{
    private static readonly ConditionalWeakTable<Stage, LaidOut> Assignments = [];

    /// <summary>
    /// A turn takes milliseconds; one that has not ended after so long is waited for by nobody. Longer than a slow disk's worst flush.
    /// </summary>
    public static TimeSpan UndecidedAfter { get; } = TimeSpan.FromSeconds(3);

    public static TimeSpan BeatEvery { get; } = TimeSpan.FromSeconds(1);

    /// <summary>While a decision is under way: the order it leads to is fetched this soon.</summary>
    public static TimeSpan BeatSoon { get; } = TimeSpan.FromMilliseconds(30);

    /// <param name="attempt">The attempt that the agent was started for, or has been running since.</param>
    /// <param name="ranks">Its rank processes, of whatever attempt.</param>
    public static WorkerOrder For(Stage stage, NodeId node, int attempt, ImmutableArray<RankStatus> ranks)
    {
        if (stage.Phase.GangOrNull is not { } gang)
        {
            return new WorkerOrder.Stop($"stage {stage.Id} is {StageViews.NameOf(stage.Phase)}: {stage.Reason}", null);
        }

        if (attempt < gang.Id.Number || attempt > stage.Attempt)
        {
            return new WorkerOrder.Stop($"attempt {attempt} is over; {stage.Id} is at attempt {stage.Attempt} of gang {gang.Id.Number}",
                null);
        }

        if (!gang.Holds(node))
        {
            return new WorkerOrder.Stop($"{node} is not in gang {gang.Id.Number} of {stage.Id} ({Words.Nodes(gang.Nodes)})", null);
        }

        return stage.Phase switch
        {
            Phase.Stopping stopping => new WorkerOrder.Stop(stage.Reason, stopping.Then is Ending.Complete ? null : stopping.SaveWithin),
            Phase.BackingOff or Phase.Restarting { Leaving: [_, ..] } or Phase.Restarting { Joining: [_, ..] } =>
                new WorkerOrder.Continue(),
            Phase.Running { Save: { } save } when Trains(stage, ranks) && ranks.Max(r => r.Step) > save.After && !Answered(stage, save) =>
                new WorkerOrder.SaveCheckpoint(save.Reason),
            _ when Trains(stage, ranks) => new WorkerOrder.Continue(),
            _ => Launch(stage, gang, node, ranks),
        };
    }

    /// <summary>All that a node of the gang needs to run its part of the stage's current attempt.</summary>
    public static Assignment AssignmentOf(Stage stage, GangGrant gang, NodeId node)
    {
        var (of, whole) = Assignments.GetValue(stage, s => new(gang, LayOut(s, gang)));
        whole = ReferenceEquals(of, gang) ? whole : LayOut(stage, gang);
        return whole with { Ranks = gang.RanksOn(node) };
    }

    /// <summary>What is the same for all nodes, which is asked for by each of hundreds of agents: laid out once for a record.</summary>
    private static Assignment LayOut(Stage stage, GangGrant gang)
    {
        // Of a gang that goes on in memory the newest checkpoint is what counts for whoever comes later.
        var resume = stage.LaunchedFrom == 0 ? null : stage.FromMemory ? CheckpointChoice.ToResume(stage.Checkpoints)
            : stage.Checkpoints.LastOrDefault(c => c.Made.Step == stage.LaunchedFrom);
        return new Assignment(
            stage.Id, stage.Attempt, [], gang.Slots, stage.Wish.Pipeline, stage.Wish.BeginFrom, stage.Wish.StudentFrom,
            resume?.Ref(stage.Id))
        {
            Shrunk = stage.Shrunk?.Layout,
            StatesFit = stage.Shrunk is not { Layout: not null, StatesFit: false },
            RoundBegan = stage.RoundBegan,
            Registrations = stage.Wish.Work.Registrations,
            LeftOut = BatchOrder.LeftOut(stage.LeftOut, stage.LossActs),
            LossActs = [.. stage.LossActs.Where(a => a.Stands)],
            Traceparent = stage.NewestIncident is { State: IncidentState.Acting } acting
                ? RecoveryTrace.Traceparent(acting, stage.Attempt) : "",
            Pinned = CheckpointChoice.LeftAlone(stage.Checkpoints, stage.Wish.Work.KeepCheckpoints),
        };
    }

    private static bool Trains(Stage stage, ImmutableArray<RankStatus> ranks) => ranks.Any(r => r.Attempt == stage.Attempt);

    private static bool Answered(Stage stage, SaveRequest save) => stage.Checkpoints.Any(c => c.Usable && c.Made.Step > save.After);

    private static WorkerOrder Launch(Stage stage, GangGrant gang, NodeId node, ImmutableArray<RankStatus> ranks)
    {
        var assignment = AssignmentOf(stage, gang, node);
        if (stage.Incident is { Cause: FailureCause.RolledBack or FailureCause.NotFinite or FailureCause.LossRose } wanted)
        {
            return new WorkerOrder.RollBack(assignment, stage.LaunchedFrom, wanted.Act?.Batches ?? (wanted.Broke is null ? 0 : 1),
                wanted.Sentence);
        }

        return ranks.IsEmpty ? new WorkerOrder.Start(assignment)
            : new WorkerOrder.RestartRanks(assignment, stage.Incident?.Sentence ?? stage.Reason);
    }

    private sealed record LaidOut(GangGrant Gang, Assignment Assignment);
}
