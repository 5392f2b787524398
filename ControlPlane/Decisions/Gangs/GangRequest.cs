using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.Gangs;

/// <summary>A stage's wish for nodes.</summary>
/// <param name="Gang">The attempt that asks: <see cref="GangId.Number"/> of <see cref="Id"/>, as it is written in records.</param>
/// <param name="Nodes">How many nodes; all or nothing.</param>
/// <param name="SlotsPerNode">Ranks on each.</param>
/// <param name="Priority">Higher goes first.</param>
/// <param name="Since">When this attempt began to wait.</param>
/// <param name="Avoid">Nodes that just failed this stage, with the reason; used only if there is no other way.</param>
public sealed record GangRequest(
    StageId Stage, int Gang, int Nodes, int SlotsPerNode, int Priority, string Team, DateTimeOffset Since,
    ImmutableDictionary<NodeId, string> Avoid)
{
    [JsonIgnore]
    public GangId Id => new(Stage, Gang);

    /// <summary>How long the gang is expected to hold its nodes; unknown: it is never used to fill a gap before a reservation.</summary>
    public TimeSpan? Expected { get; init; }

    /// <summary>By what share of it <see cref="Expected"/> may be wrong, and who says so.</summary>
    public double ExpectedError { get; init; }

    /// <inheritdoc cref="ExpectedError"/>
    public string ExpectedBasis { get; init; } = "";

    /// <summary>
    /// Nodes of one expert-parallel group (8 in DeepSeek-V3: EP64 over 8 nodes); such a group stays under one leaf where it can.
    /// </summary>
    public int GroupNodes { get; init; } = 1;

    /// <summary>Time the gang needs to write a checkpoint; the grace it gets when it is preempted.</summary>
    public TimeSpan SaveTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The node group that it asks for; empty: any node.</summary>
    public string Group { get; init; } = "";

    /// <summary>The gang ran and lost a node: it goes before others of its priority, and may take a spare.</summary>
    public bool Restores { get; init; }

    /// <summary>
    /// Of a stage that trains with fewer nodes: its gang. Nothing is granted then; the answer says whether there would be room without it.
    /// </summary>
    public GangId? InStead { get; init; }

    /// <summary>With <see cref="InStead"/>: its gang stays on some of its nodes and asks for the rest. Null: it asks for all.</summary>
    public GangRefill? Refill { get; init; }

    /// <summary>It may go on with fewer nodes, and wants to be told what room there is.</summary>
    public bool MayShrink { get; init; }

    /// <summary>Fewer nodes that its layout fits, largest first, each with the wall time that the plan gives.</summary>
    public ImmutableArray<NodeOption> Options { get; init; } = [];
}

/// <summary>A smaller gang for the same work.</summary>
/// <param name="LongerBy">Share of wall time on top, by the planner's model of a step.</param>
public sealed record NodeOption(int Nodes, double LongerBy);

/// <summary>What a gang that has lost nodes keeps, and what it lacks.</summary>
/// <param name="Lacks">So many nodes.</param>
public sealed record GangRefill(ImmutableArray<NodeId> Keeps, int Lacks)
{
    /// <summary>Those that are to come to it now. Empty: it asks which there would be, and nothing is granted.</summary>
    public ImmutableArray<NodeId> Takes { get; init; } = [];
}
