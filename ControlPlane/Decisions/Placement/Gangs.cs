using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>A stage's wish for nodes.</summary>
/// <param name="Gang">The attempt that asks; the grant is named by it.</param>
/// <param name="Nodes">How many nodes; all or nothing.</param>
/// <param name="SlotsPerNode">Ranks on each.</param>
/// <param name="Priority">Higher goes first.</param>
/// <param name="Since">When this attempt began to wait.</param>
/// <param name="Avoid">Nodes that just failed this stage, with the reason; used only if there is no other way.</param>
public sealed record GangRequest(
    StageId Stage, int Gang, int Nodes, int SlotsPerNode, int Priority, string Team, DateTimeOffset Since,
    ImmutableDictionary<NodeId, string> Avoid)
{
    /// <summary>How long the gang is expected to hold its nodes; unknown: it is never used to fill a gap before a reservation.</summary>
    public TimeSpan? Expected { get; init; }

    /// <summary>By what share of it <see cref="Expected"/> may be wrong, and who says so.</summary>
    public double ExpectedError { get; init; }

    /// <inheritdoc cref="ExpectedError"/>
    public string ExpectedBasis { get; init; } = "";

    /// <summary>Nodes of one expert-parallel group (8 in DeepSeek-V3: EP64 over 8 nodes); such a group stays under one leaf where it can.</summary>
    public int GroupNodes { get; init; } = 1;

    /// <summary>Time the gang needs to write a checkpoint; the grace it gets when it is preempted.</summary>
    public TimeSpan SaveTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The node group that it asks for; empty: any node.</summary>
    public string Group { get; init; } = "";

    /// <summary>The gang ran and lost a node: it goes before others of its priority, and may take a spare.</summary>
    public bool Restores { get; init; }

    /// <summary>Fewer nodes that its layout fits, largest first, each with the wall time that the plan gives.</summary>
    public ImmutableArray<NodeOption> Options { get; init; } = [];
}

/// <summary>A smaller gang for the same work.</summary>
/// <param name="LongerBy">Share of wall time on top, by the planner's model of a step.</param>
public sealed record NodeOption(int Nodes, double LongerBy);

/// <summary>Nodes that are held by a gang, in rank order.</summary>
public sealed record GangGrant(StageId Stage, int Gang, ImmutableArray<NodeId> Nodes, int SlotsPerNode, DateTimeOffset At)
{
    public int Priority { get; init; }

    public string Team { get; init; } = "";

    /// <summary>When the nodes are expected to be free again; null where nobody can say.</summary>
    public DateTimeOffset? ExpectedEnd { get; init; }

    /// <inheritdoc cref="GangRequest.ExpectedError"/>
    public double EndError { get; init; }

    /// <inheritdoc cref="GangRequest.ExpectedError"/>
    public string EndBasis { get; init; } = "";

    /// <inheritdoc cref="GangRequest.SaveTime"/>
    public TimeSpan SaveTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <inheritdoc cref="GangRequest.Group"/>
    public string Group { get; init; } = "";

    /// <inheritdoc cref="GangRequest.Restores"/>
    public bool Restores { get; init; }

    /// <summary>Those that a person put it before: it does not give its nodes to them, however urgent they are.</summary>
    public ImmutableArray<StageId> Ahead { get; init; } = [];

    public int Slots => Nodes.Length * SlotsPerNode;
}

/// <summary>What became of a request: nodes, or a sentence with numbers.</summary>
public abstract record PlacementDecision(string Reason)
{
    public sealed record Placed(GangGrant Grant, string Reason) : PlacementDecision(Reason);

    /// <param name="Reason">The binding reason first, the others behind it, as one sentence.</param>
    /// <param name="Reasons">The same one by one.</param>
    /// <param name="Eta">When the nodes should be there, if the ends of what runs are known.</param>
    /// <param name="Ways">What would start it sooner, cheapest first, each with its price.</param>
    public sealed record Pending(string Reason, ImmutableArray<PendingReason> Reasons, StartEstimate? Eta, ImmutableArray<StartWay> Ways)
        : PlacementDecision(Reason)
    {
        public static Pending Of(ImmutableArray<PendingReason> reasons, StartEstimate? eta, ImmutableArray<StartWay> ways) =>
            new(string.Join("; ", reasons.Select(r => r.Text)), reasons, eta, ways);
    }
}

public enum PendingKind
{
    /// <summary>It can never start as it is asked for.</summary>
    Impossible = 0,
    Quota = 1,
    /// <summary>Too few nodes are free.</summary>
    Capacity = 2,
    /// <summary>Free nodes are held together for a larger gang before it.</summary>
    Reserved = 3,
    Maintenance = 4,
    Spares = 5,
    Group = 6,
    /// <summary>Others are before it in the queue.</summary>
    Behind = 7,
    /// <summary>Gangs have been asked to give way to it.</summary>
    Preempting = 8,
    /// <summary>Its nodes are promised.</summary>
    Promised = 9,
}

public readonly record struct PendingReason(PendingKind Kind, string Text);

/// <summary>A start time with its error band.</summary>
/// <param name="Basis">Where the band comes from.</param>
public sealed record StartEstimate(DateTimeOffset Earliest, DateTimeOffset Likely, DateTimeOffset Latest, string Basis);

public enum WayKind
{
    Uncordon = 0,
    FewerNodes = 1,
    Preempt = 2,
    EndMaintenance = 3,
}

/// <summary>Something a person can do so that a gang starts sooner.</summary>
/// <param name="Command">What does it, to be typed; empty: nothing does it but the asking of another gang.</param>
public sealed record StartWay(WayKind Kind, string Text, string Command)
{
    /// <summary>GPU time that it costs for certain; null: no figure is known.</summary>
    public double? GpuHours { get; init; }

    /// <summary>More GPU time that is lost if a gang that gives way cannot save.</summary>
    public double? GpuHoursAtRisk { get; init; }

    /// <summary>Share of wall time on top.</summary>
    public double? LongerBy { get; init; }

    /// <summary>Nodes that it is about: to uncordon, or how many to ask for.</summary>
    public ImmutableArray<NodeId> Nodes { get; init; } = [];

    public int AskNodes { get; init; }

    public ImmutableArray<StageId> Victims { get; init; } = [];
}
