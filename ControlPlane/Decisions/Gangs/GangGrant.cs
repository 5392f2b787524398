using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.Gangs;

/// <summary>Nodes that are held by a gang, in rank order.</summary>
/// <param name="Gang">As it is written in records: <see cref="GangId.Number"/> of <see cref="Id"/>.</param>
public sealed record GangGrant(StageId Stage, int Gang, ImmutableArray<NodeId> Nodes, int SlotsPerNode, DateTimeOffset At)
{
    /// <summary>Fewer are compared faster one by one.</summary>
    private const int FewNodes = 4;

    private static readonly ConditionalWeakTable<GangGrant, HashSet<NodeId>> Members = [];

    [JsonIgnore]
    public GangId Id => new(Stage, Gang);

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

    /// <summary>
    /// Those of its nodes on which no gang has trained since they came, or came back. Empty once all of its ranks have made their first
    /// steps there.
    /// </summary>
    public ImmutableArray<NodeId> Untried { get; init; } = [];

    /// <summary>Those that a person put it before: it does not give its nodes to them, however urgent they are.</summary>
    public ImmutableArray<StageId> Ahead { get; init; } = [];

    /// <summary>A person holds it, in words: it gives its nodes to nobody unless a person asks it to. Empty: nobody does.</summary>
    public string Hold { get; init; } = "";

    /// <summary>
    /// Came to the gang after it had begun, and have not trained in it yet: their agents are started while the others wait.
    /// </summary>
    public ImmutableArray<NodeId> Newcomers { get; init; } = [];

    public int Slots => Nodes.Length * SlotsPerNode;

    /// <summary>
    /// Whether a node is of it. Each second every one of hundreds of agents is asked that several times, so the set is made once for a
    /// grant.
    /// </summary>
    public bool Holds(NodeId node) =>
        Nodes.Length <= FewNodes ? Nodes.Contains(node) : Members.GetValue(this, g => [.. g.Nodes]).Contains(node);

    /// <summary>Ranks go node by node, in the grant's order. Empty: the node is not of it.</summary>
    public ImmutableArray<RankPlacement> RanksOn(NodeId node) => Nodes.IndexOf(node) is >= 0 and var at ? RanksAt(at) : [];

    /// <summary>Of the node at this place of the order.</summary>
    public ImmutableArray<RankPlacement> RanksAt(int place) =>
        [.. Enumerable.Range(0, SlotsPerNode).Select(local => new RankPlacement((place * SlotsPerNode) + local, Nodes[place], local))];
}
