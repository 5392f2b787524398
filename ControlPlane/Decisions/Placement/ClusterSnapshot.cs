using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

public enum NodeHealth
{
    Ready = 0,
    /// <summary>The cluster says that the node cannot run pods.</summary>
    NotReady = 1,
    /// <summary>Nothing is known. Never a reason to kill what runs there; a reason not to place more.</summary>
    Unknown = 2,
    /// <summary>A person took it out of placement.</summary>
    Cordoned = 3,
}

/// <summary>A node as the cluster shows it.</summary>
/// <param name="Slots">GPUs (or CPU ranks on a laptop) that the node has.</param>
public sealed record NodeSeen(NodeId Id, NodeHealth Health, string Reason, int Slots, ImmutableDictionary<string, string> Labels)
{
    /// <summary>How often the node has ended a gang lately, older ends counting less; 0 for a node with a clean record.</summary>
    public double LemonScore { get; init; }
}

public enum PodPhase
{
    Pending = 0,
    Running = 1,
    /// <summary>The process has ended; what it ran is certain not to run any more.</summary>
    Exited = 2,
    /// <summary>The cluster cannot say. It may still run.</summary>
    Unknown = 3,
    /// <summary>Ended on purpose, together with the cluster it ran on: it may be made anew, and nothing has failed.</summary>
    Stopped = 4,
}

/// <summary>One agent, started for a gang on one node.</summary>
/// <param name="Gang">The gang the pod was made for: the attempt that placed it. Later attempts in place keep their pods.</param>
public sealed record PodSeen(StageId Stage, int Gang, NodeId Node, PodPhase Phase, int? Pid, int? ExitCode, string Reason);

/// <summary>The cluster at one moment. Immutable: a decision sees one state of the world.</summary>
public sealed record ClusterSnapshot(ImmutableArray<NodeSeen> Nodes, ImmutableArray<PodSeen> Pods, DateTimeOffset At)
{
    /// <summary>The cluster is being stopped as a whole: what ends on it now is no failure.</summary>
    public bool Stopping { get; init; }

    /// <summary>A node that is worse than cordoned stays what it is.</summary>
    public ClusterSnapshot With(ImmutableArray<Cordon> cordons) => cordons.IsEmpty ? this : this with
    {
        Nodes = [.. Nodes.Select(n => n.Health == NodeHealth.Ready && cordons.FirstOrDefault(c => c.Node == n.Id) is { } cordon
            ? n with { Health = NodeHealth.Cordoned, Reason = cordon.Reason } : n)],
    };
}

/// <summary>A person took a node out of placement.</summary>
/// <param name="Drains">What runs there is to go elsewhere.</param>
public sealed record Cordon(NodeId Node, string Reason, DateTimeOffset Since, bool Drains);

/// <summary>A stage's wish for nodes.</summary>
/// <param name="Gang">The attempt that asks; the grant is named by it.</param>
/// <param name="Nodes">How many nodes; all or nothing.</param>
/// <param name="SlotsPerNode">Ranks on each.</param>
/// <param name="Priority">Higher goes first.</param>
/// <param name="Since">When the stage began to wait; a restarted stage keeps its place.</param>
/// <param name="Avoid">Nodes that just failed this stage, with the reason; used only if there is no other way.</param>
public sealed record GangRequest(
    StageId Stage, int Gang, int Nodes, int SlotsPerNode, int Priority, string Team, DateTimeOffset Since,
    ImmutableDictionary<NodeId, string> Avoid)
{
    /// <summary>How long the gang is expected to hold its nodes; unknown: it is never used to fill a gap before a reservation.</summary>
    public TimeSpan? Expected { get; init; }

    /// <summary>Nodes of one expert-parallel group (8 in DeepSeek-V3: EP64 over 8 nodes); such a group stays under one leaf where it can.</summary>
    public int GroupNodes { get; init; } = 1;

    /// <summary>Time the gang needs to write a checkpoint; the grace it gets when it is preempted.</summary>
    public TimeSpan SaveTime { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>Nodes that are held by a gang, in rank order.</summary>
public sealed record GangGrant(StageId Stage, int Gang, ImmutableArray<NodeId> Nodes, int SlotsPerNode, DateTimeOffset At)
{
    public int Priority { get; init; }

    public string Team { get; init; } = "";

    /// <summary>When the nodes are expected to be free again; null where nobody can say.</summary>
    public DateTimeOffset? ExpectedEnd { get; init; }

    /// <inheritdoc cref="GangRequest.SaveTime"/>
    public TimeSpan SaveTime { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>What became of a request: nodes, or a sentence with numbers.</summary>
public abstract record PlacementDecision(string Reason)
{
    public sealed record Placed(GangGrant Grant, string Reason) : PlacementDecision(Reason);

    /// <param name="Reason">The binding reason first, the others behind it.</param>
    /// <param name="Eta">When the nodes should be there, if the ends of what runs are known.</param>
    /// <param name="Ways">What would start it sooner, cheapest first, each with its price.</param>
    public sealed record Pending(string Reason, StartEstimate? Eta, ImmutableArray<string> Ways) : PlacementDecision(Reason);
}

/// <summary>A start time with its error band: expected ends are estimates, and estimates of long jobs err more.</summary>
public readonly record struct StartEstimate(DateTimeOffset Earliest, DateTimeOffset Likely, DateTimeOffset Latest);

/// <summary>A held gang that has to give way: it is asked for a checkpoint first and gets <paramref name="Grace"/> for it.</summary>
/// <param name="For">Who gets the nodes; null: nobody, they are drained.</param>
public sealed record Preemption(StageId Stage, int Gang, StageId? For, TimeSpan Grace, string Reason);
