using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Health;

/// <summary>What is remembered of an agent since this control plane first heard of it. Memory only.</summary>
public sealed record AgentVitals(
    NodeId Node, string AgentId, int Pid, int Attempt, Instant Heard, long Sequence, ImmutableArray<RankStatus> Ranks,
    ImmutableDictionary<string, double> LaunchSeconds)
{
    /// <summary>
    /// It has sent a beat since it registered. Only a beat carries what it could not report before, so nothing is decided on a
    /// registration alone.
    /// </summary>
    public bool Beaten { get; init; }

    /// <summary>Where ranks of other nodes reach those of this one; empty: it has not said.</summary>
    public string PeerHost { get; init; } = "";

    /// <summary>Reports that it had still to be acknowledged for when it was heard last.</summary>
    public int Untold { get; init; }

    /// <summary>How long nobody had answered it before it registered. Null: it was new.</summary>
    public TimeSpan? WithoutContact { get; init; }

    /// <summary>What it last told of a launch. Null: nothing.</summary>
    public LaunchHeard? Launch { get; init; }
}

/// <summary>An agent that was heard again by a control plane that had begun anew.</summary>
/// <param name="Silent">How long nobody answered it.</param>
public sealed record AgentBack(NodeId Node, long Step, TimeSpan Silent);

/// <summary>What agents told since the last decision that was written.</summary>
public sealed record News(
    ImmutableArray<CheckpointMade> Checkpoints, ImmutableArray<RefusedCheckpoint> Refused, ImmutableArray<Evaluation> Evaluations,
    ImmutableArray<WorkerNote> Notes, ImmutableArray<AgentBack> Back)
{
    public static News None { get; } = new([], [], [], [], []);

    public ImmutableArray<ResumedFrom> Resumed { get; init; } = [];

    public ImmutableArray<LocalRestart> LocalRestarts { get; init; } = [];

    /// <summary>Shares of a checkpoint that agents have read again.</summary>
    public ImmutableArray<CheckpointRead> Reads { get; init; } = [];

    public ImmutableArray<StoredTold> Stored { get; init; } = [];

    public ImmutableArray<LossFinding> Losses { get; init; } = [];

    /// <summary>
    /// What a slow rank held its gang up by and is not entered yet; nothing is written for its sake, so a tick that writes nothing leaves
    /// it.
    /// </summary>
    public double SlowSeconds { get; init; }

    public bool IsEmpty => Checkpoints.IsEmpty && Refused.IsEmpty && Evaluations.IsEmpty && Notes.IsEmpty && Back.IsEmpty
        && Resumed.IsEmpty && LocalRestarts.IsEmpty && Reads.IsEmpty && Losses.IsEmpty && Stored.IsEmpty;
}

/// <summary>All that a stage's decision may know of the world.</summary>
/// <param name="Cluster">Null: the cluster could not be asked. Unknown, and so no reason to end anything.</param>
/// <param name="Since">Since when this control plane listens without a break: silence before it is our own.</param>
/// <param name="Now">When it was looked.</param>
/// <param name="Placement">While queued: the answer to the stage's request.</param>
/// <param name="GoneGang">The gang of which the cluster is certain that nothing runs any more. Null: none.</param>
/// <param name="Preemption">Another gang needs the nodes.</param>
/// <param name="LongestStepSeconds">The longest recent step; null: none was timed yet.</param>
public sealed record Observation(
    ClusterSnapshot? Cluster, ImmutableArray<AgentVitals> Agents, News News, StepSample? Latest, Instant Since,
    Instant Now)
{
    private const string FirstStep = "first_step";

    public PlacementDecision? Placement { get; init; }

    public GangId? GoneGang { get; init; }

    /// <summary>Of a gang that goes on without them: nodes on which the cluster is certain that nothing of it runs any more.</summary>
    public (GangId Gang, ImmutableHashSet<NodeId> Nodes)? Left { get; init; }

    public Preemption? Preemption { get; init; }

    public double? LongestStepSeconds { get; init; }

    /// <summary>So many seconds of what agents tell pass in one of ours: more than 1 in a cluster that is simulated faster.</summary>
    public double TimeFactor { get; init; } = 1;

    /// <summary>The stage's folder, looked at for this decision. Null: not looked at, or not to be seen from here.</summary>
    public StageFolder? Disk { get; init; }

    /// <summary>How long the stage has been in its phase.</summary>
    public TimeSpan PhaseFor { get; init; }

    /// <summary>How long ago the failure was noticed that is being recovered from.</summary>
    public TimeSpan IncidentFor { get; init; }

    /// <summary>How long we have listened without a break.</summary>
    public TimeSpan WatchedFor => Now.Since(Since);

    /// <summary>As <see cref="PhaseFor"/>, for graces: time in which we did not listen is not counted.</summary>
    public TimeSpan PhaseWatchedFor => PhaseFor < WatchedFor ? PhaseFor : WatchedFor;

    public TimeSpan SilenceOf(AgentVitals agent) => Now.Since(agent.Heard);

    /// <summary>Recent steps of this round, oldest first. Of older attempts too: a restart changes no pace.</summary>
    public ImmutableArray<StepTime> Times { get; init; } = [];

    /// <summary>The median of <see cref="Times"/>. Null: none was timed yet.</summary>
    public double? UsualStepSeconds => Times.IsEmpty ? null : Times.Select(t => t.Seconds).Order().ElementAt(Times.Length / 2);

    /// <summary>Losses of recent steps by attempt, oldest first.</summary>
    public ImmutableList<StepTold> Losses { get; init; } = [];

    /// <summary>The first sample of the newest attempt whose loss or gradient norm was not finite. Null: none was.</summary>
    public StepSample? Broken { get; init; }

    /// <summary>Which rank is slower than those that do the same. Null: too little is known to say, which is no word of health.</summary>
    public SlowLook? Slow { get; init; }

    /// <summary>What was known of the losses at the newest steps that are saved at.</summary>
    public ImmutableArray<LossMemory> LossMemories { get; init; } = [];

    /// <summary>
    /// Agents on the gang's nodes. A gang has hundreds of nodes and asks each second, so nothing here is nodes times agents.
    /// </summary>
    public IEnumerable<AgentVitals> AgentsOf(GangGrant gang)
    {
        foreach (var agent in Agents)
        {
            if (gang.Holds(agent.Node))
            {
                yield return agent;
            }
        }
    }

    /// <summary>
    /// Phase times of the gang's last launch: of the node that all waited for, since it came last to where the ranks meet for the first
    /// step. In that step itself the others wait for it, so of those that have told the shortest stands for one that has not yet.
    /// </summary>
    public ImmutableDictionary<string, double> LaunchOf(GangGrant gang)
    {
        var told = AgentsOf(gang).Select(a => a.LaunchSeconds).Where(launch => !launch.IsEmpty).ToList();
        return told.MaxBy(launch => launch.Where(part => part.Key != FirstStep).Sum(part => part.Value)) is not { } slowest
            ? ImmutableDictionary<string, double>.Empty
            : slowest.ContainsKey(FirstStep) || !told.Exists(launch => launch.ContainsKey(FirstStep)) ? slowest
            : slowest.Add(FirstStep, told.Where(launch => launch.ContainsKey(FirstStep)).Min(launch => launch[FirstStep]));
    }

    public AgentVitals? AgentOn(NodeId node) => Agents.FirstOrDefault(a => a.Node == node);
}
