using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Tracing;

namespace DeepSeekOps.Decisions.Health;

public enum RankState
{
    /// <summary>Nothing was heard of the rank for a while. Never a reason to kill it.</summary>
    Unknown = 0,
    Starting = 1,
    Training = 2,
    Saving = 3,
    Done = 4,
    Exited = 5,
}

/// <summary>The closed set of states: who tells one from another has a word for each, and a new one has none here yet.</summary>
public static class RankStates
{
    public static T Match<T>(this RankState state, T unknown, T starting, T training, T saving, T done, T exited) => state switch
    {
        RankState.Unknown => unknown,
        RankState.Starting => starting,
        RankState.Training => training,
        RankState.Saving => saving,
        RankState.Done => done,
        RankState.Exited => exited,
        _ => throw new System.Diagnostics.UnreachableException($"rank state {state} has no place in {nameof(RankStates)}"),
    };
}

/// <summary>A rank process as its agent saw it.</summary>
/// <param name="Attempt">The attempt this process was launched for.</param>
/// <param name="Doing">One or two words: "loading", "forward", "rollout".</param>
/// <param name="SinceProgress">Since the last step, rollout or part of a load; measured by the agent's own clock.</param>
/// <param name="ExitCode">With Exited: the exit code, or 128 + signal.</param>
/// <param name="Error">With Exited: why, in the rank's own words.</param>
/// <param name="CollectiveSequence">Collective calls of the launch; equal on all ranks at the same point.</param>
public sealed record RankStatus(
    int Rank, int Pid, RankState State, int Attempt, long Step, string Doing, TimeSpan SinceProgress, int? ExitCode, string Error,
    long CollectiveSequence)
{
    /// <summary>The number that ended it, or is about to; null: none did.</summary>
    public NotFinite? Broke { get; init; }

    /// <summary>With Exited: type and place of the exception; empty where none told.</summary>
    public string Fault { get; init; } = "";

    /// <summary>With Exited: what it printed last. Shown, and compared with nothing.</summary>
    public string LastLine { get; init; } = "";

    /// <summary>With Exited: its last lines, oldest first. What ended it is looked for in them.</summary>
    public ImmutableArray<string> LastLines { get; init; } = [];

    /// <summary>With Exited by signal 9: what says that memory ran out; empty: nothing does.</summary>
    public string MemoryKill { get; init; } = "";

    /// <summary>Launches of its attempt that its agent made by itself before this one.</summary>
    public int LocalTry { get; init; }

    /// <summary>The kernel has stopped the process.</summary>
    public bool Halted { get; init; }

    /// <summary>With Exited: how long ago, by the agent's own clock. Null: not told.</summary>
    public TimeSpan? SinceExit { get; init; }

    /// <summary>Where other ranks of its gang reach it, on its node's address; 0: nowhere yet.</summary>
    public int PeerPort { get; init; }

    /// <summary>It is ready, and waits to be told who else is in its gang.</summary>
    public bool WaitsForGang { get; init; }

    /// <summary>The other rank that was gone: it ended because of it, or waits for the gang to form again. Null: none was.</summary>
    public int? LostPeer { get; init; }

    /// <summary>The step that it went on from in this launch; null: it has not got so far, or its agent does not tell.</summary>
    public long? BeganAt { get; init; }

    /// <summary>What the steps of its launch took all together without waiting for other ranks; 0: not measured.</summary>
    public double OwnSeconds { get; init; }

    /// <summary>What it waited inside calls of its gang in the same steps.</summary>
    public double WaitedSeconds { get; init; }

    /// <summary>What it waited for a core of its machine in between: in neither of the two.</summary>
    public double QueuedSeconds { get; init; }

    /// <summary>It is beyond the step that it went on from.</summary>
    /// <param name="launchedFrom">Where its attempt goes on from, as far as known.</param>
    public bool MadeStep(long launchedFrom) => Step > (BeganAt ?? launchedFrom);
}

/// <summary>A rank ended while nobody could be asked, and its agent launched it again.</summary>
/// <param name="LocalTry">From 1 within the attempt.</param>
/// <param name="Alone">How long nobody had answered the agent.</param>
/// <param name="Reason">Why, as far as the agent knows.</param>
public sealed record LocalRestart(NodeId Node, DateTimeOffset At, int Attempt, int LocalTry, RankStatus Ended, TimeSpan Alone,
    string Reason);

/// <summary>A measured result: held-out accuracy, a needle check, a student against its baseline.</summary>
/// <param name="Low">Lower end of the 95 % confidence interval, where it has one.</param>
public sealed record Evaluation(
    string Name, double Value, double? Low, double? High, int Samples, long Step, DateTimeOffset At, int Attempt);

/// <summary>Something worth a line on the timeline that only the worker can know.</summary>
public sealed record WorkerNote(DateTimeOffset At, string Text, int Attempt)
{
    /// <summary>Of a save that failed because there was no room: the file system that is full. Empty: it is about something else.</summary>
    public string FullDisk { get; init; } = "";

    /// <summary>Of copies to a checkpoint store that fail: the store. Empty: it is about something else.</summary>
    public string StoreAway { get; init; } = "";

    /// <summary>Whose word it is.</summary>
    public string Node { get; init; } = "";
}

/// <summary>An agent's first word after its start, and after each lost connection.</summary>
/// <param name="AgentId">One per agent process: a restarted agent is another agent.</param>
/// <param name="Attempt">The attempt the agent was started for, or has been running since.</param>
public sealed record AgentRegistration(
    string Version, NodeId Node, string AgentId, int Pid, StageId Stage, int Attempt, ImmutableArray<RankStatus> Ranks)
{
    /// <summary>How long nobody had answered it. Null: this is its first word.</summary>
    public TimeSpan? WithoutContact { get; init; }

    /// <summary>The gang that its token is for; 0 where no token was asked for (simulated agents).</summary>
    public int Gang { get; init; }
}

/// <summary>One message for all ranks of a node, with everything since the last acknowledged one.</summary>
/// <param name="Sequence">Grows by one per beat of one agent; a beat that arrives late is known by it.</param>
/// <param name="LaunchSeconds">Phase times of the last launch on the node: "spawn", "load", "restore", "first_step".</param>
public sealed record AgentBeat(
    NodeId Node, string AgentId, StageId Stage, int Attempt, long Sequence, ImmutableArray<RankStatus> Ranks,
    ImmutableArray<StepSample> Samples, ImmutableArray<CheckpointMade> Checkpoints, ImmutableArray<Evaluation> Evaluations,
    ImmutableArray<WorkerNote> Notes, ImmutableDictionary<string, double> LaunchSeconds,
    ImmutableArray<RefusedCheckpoint> RefusedCheckpoints, ImmutableArray<ExpertLoad> ExpertLoads)
{
    /// <summary>The gang that its token is for; 0 where no token was asked for (simulated agents).</summary>
    public int Gang { get; init; }

    /// <summary>What each launch found on disk and goes on from, oldest first.</summary>
    public ImmutableArray<ResumedFrom> Resumed { get; init; } = [];

    /// <summary>Where ranks of other nodes reach those of this one; empty: nowhere.</summary>
    public string PeerHost { get; init; } = "";

    /// <summary>Reports that no reply has acknowledged yet, those of this beat among them.</summary>
    public int Untold { get; init; }

    /// <summary>What ranks recorded of steps that a person asked for.</summary>
    public ImmutableArray<RankTrace> Traces { get; init; } = [];

    /// <summary>What the agent did by itself, oldest first.</summary>
    public ImmutableArray<LocalRestart> LocalRestarts { get; init; } = [];

    /// <summary>What it has read again of a checkpoint.</summary>
    public ImmutableArray<CheckpointRead> Reads { get; init; } = [];

    /// <summary>Copies of checkpoints that are whole in the store.</summary>
    public ImmutableArray<StoredTold> Stored { get; init; } = [];

    /// <summary>What the node did for its newest launch. Null: nothing is told, or an older agent's word.</summary>
    public LaunchTold? Launch { get; init; }

    /// <summary>It brings more than how its ranks are.</summary>
    [JsonIgnore]
    public bool Tells => !(Samples.IsEmpty && Checkpoints.IsEmpty && Evaluations.IsEmpty && Notes.IsEmpty && RefusedCheckpoints.IsEmpty
        && Resumed.IsEmpty && LocalRestarts.IsEmpty && Reads.IsEmpty && Stored.IsEmpty);
}
