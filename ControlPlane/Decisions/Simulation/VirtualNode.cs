using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>A machine as it is, which is more than the control plane can see of it.</summary>
internal sealed class VirtualNode(NodeSeen seen)
{
    public NodeSeen Seen { get; } = seen;

    public NodeId Id => Seen.Id;

    public bool Up { get; set; } = true;

    /// <summary>The cluster has noticed that it is down.</summary>
    public bool KnownDown { get; set; }

    /// <summary>Whatever is launched on it exits.</summary>
    public bool GpuBad { get; set; }

    public string Fault { get; set; } = "";

    /// <summary>When a fault that was written down ends. Null: its repair is drawn.</summary>
    public DateTimeOffset? WholeAt { get; set; }

    public NodeSeen AsSeen() => KnownDown ? Seen with { Health = NodeHealth.NotReady, Reason = Fault } : Seen;
}

internal enum RanksDo
{
    Nothing = 0,
    Load = 1,
    /// <summary>They train as far as their job does.</summary>
    Train = 2,
    Exited = 3,
}

/// <summary>A pod with the agent in it and its ranks, which do the same and so are told as one.</summary>
internal sealed class VirtualPod(GangId gang, NodeId node, int index, string agentId, VirtualCluster cluster)
    : SimulatedAgent(gang, node, agentId, 0)
{
    /// <summary>Of its node in the gang's rank order.</summary>
    public int Index { get; set; } = index;

    public VirtualNode Machine { get; } = cluster.Nodes[node];

    /// <summary>Its job, as the cluster found it last.</summary>
    public (int Launched, int Jobs, TrainingJob? Job) Found { get; set; } = (-1, 0, null);

    public PodPhase Phase { get; set; } = PodPhase.Pending;

    /// <summary>The agent's process runs. Unlike the phase, this is the truth.</summary>
    public bool Alive { get; set; }

    public bool Ending { get; set; }

    public RanksDo Doing { get; set; }

    public bool Hung { get; set; }

    public int ExitCode { get; set; }

    public string Error { get; set; } = "";

    /// <summary>The number that ended its ranks; cleared by the next launch.</summary>
    public NotFinite? Broke { get; set; }

    public DateTimeOffset LaunchedAt { get; set; }

    /// <summary>The newest attempt that its ranks have loaded.</summary>
    public int Restored { get; set; }

    /// <summary>The step that its last beat told a sample of, with the attempt.</summary>
    public (int Attempt, long Step) Sampled { get; set; }

    public override ImmutableArray<RankStatus> Ranks => cluster.RanksOf(this);

    protected override bool CanSave => cluster.JobOf(this) is { State: JobState.Training or JobState.Saving };

    protected override void Launch(Assignment assignment, Assignment? before) => cluster.Launch(this, assignment, before);

    protected override void Save() => cluster.SaveFor(this, thenStop: false);

    protected override void SaveThenEnd() => cluster.SaveFor(this, thenStop: true);

    protected override void End(string reason) => cluster.End(this, 0, "ended by order");
}
