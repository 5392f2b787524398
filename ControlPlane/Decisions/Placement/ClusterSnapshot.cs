using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Gangs;

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
    /// <summary>Out for planned maintenance; back by itself at its end.</summary>
    Maintenance = 4,
}

/// <summary>A node as the cluster shows it.</summary>
/// <param name="Slots">GPUs (or CPU ranks on a laptop) that the node has.</param>
public sealed record NodeSeen(NodeId Id, NodeHealth Health, string Reason, int Slots, ImmutableDictionary<string, string> Labels)
{
    /// <summary>
    /// How often it has ended an attempt lately, each failure by its weight and halved with every week; 0: a clean record.
    /// </summary>
    public double LemonScore { get; init; }

    /// <summary>No gang has trained on it since it came, or came back.</summary>
    public bool Untried { get; init; }

    /// <summary>The newest test of it; null: it was never tested.</summary>
    public NodeTest? Test { get; init; }

    /// <summary>
    /// It is out for no other reason than that this gang's pod has ended there, and sound once that gang is gone. Null: else.
    /// </summary>
    public GangId? OutUntilGone { get; init; }
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
public sealed record PodSeen(GangId Gang, NodeId Node, PodPhase Phase, int? Pid, int? ExitCode, string Reason)
{
    /// <summary>
    /// In the cluster's own words, why it waits to start or what ended it: an image that is not found, an eviction. Empty: it says nothing.
    /// </summary>
    public string Cause { get; init; } = "";

    /// <summary>It runs, and the kernel lets it do nothing: SIGSTOP, or a debugger holds it.</summary>
    public bool Halted { get; init; }

    /// <summary>
    /// What its agent's program printed as it broke, after the last thing that the agent itself wrote down. Empty: nothing, or the cluster
    /// cannot tell.
    /// </summary>
    public ImmutableArray<string> Said { get; init; } = [];
}

/// <summary>The cluster at one moment. Immutable: a decision sees one state of the world.</summary>
public sealed record ClusterSnapshot(ImmutableArray<NodeSeen> Nodes, ImmutableArray<PodSeen> Pods, DateTimeOffset At)
{
    /// <summary>The cluster is being stopped as a whole: what ends on it now is no failure.</summary>
    public bool Stopping { get; init; }

    /// <summary>
    /// What runs there can train with shares of experts that differ in size. No worker of ours can: simulated ranks alone.
    /// </summary>
    public bool DealsUnevenly { get; init; }

    /// <summary>As it will be once this gang is gone.</summary>
    public ClusterSnapshot Without(GangId gone) => this with
    {
        Nodes = [.. Nodes.Select(n => n.OutUntilGone == gone ? n with { Health = NodeHealth.Ready, OutUntilGone = null } : n)],
    };

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

/// <summary>A held gang that has to give way: it is asked for a checkpoint first and gets <paramref name="Grace"/> for it.</summary>
/// <param name="For">Who gets the nodes; null: nobody, they are drained.</param>
public sealed record Preemption(StageId Stage, int Gang, StageId? For, TimeSpan Grace, string Reason)
{
    /// <summary>A person asked this gang to leave; else the queue does, or a node that goes.</summary>
    public bool ByPerson { get; init; }

    [JsonIgnore]
    public GangId Victim => new(Stage, Gang);

    public static Preemption ByHand(GangGrant gang, StageId? heir, string reason)
    {
        var grace = Victims.Grace(gang);
        return new Preemption(gang.Stage, gang.Gang, heir, grace, $"{reason}; it has {Words.Duration(grace)} to save first")
        {
            ByPerson = true,
        };
    }
}
