using System.Collections.Immutable;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Incidents;

/// <summary>
/// A node that is out of use by a fault of its own, from when it was found until it is in use again. <see cref="NodeWatch"/> owns its
/// transitions: acting while it is out, verifying once it is ready again, closed. It never needs a person at once: other nodes take its
/// place, and a gang that fails by it has an incident of its stage.
/// </summary>
/// <param name="Number">From 1 within the node.</param>
/// <param name="Cause">In few words, to be counted by: "not ready", "failed its test".</param>
/// <param name="Sentence">What a person reads first.</param>
public sealed record NodeIncident(
    NodeId Node, int Number, IncidentState State, DateTimeOffset OpenedAt, string Cause, string Sentence,
    ImmutableArray<IncidentStep> Steps)
{
    public const string NotReady = "not ready";

    public const string FailedTest = "failed its test";

    /// <summary>What shows it: the cluster's own words, or the test's.</summary>
    public string Evidence { get; init; } = "";

    /// <summary>The test that it failed, with what was measured. Null: it failed none.</summary>
    public NodeTest? Test { get; init; }

    /// <summary>Stages whose gangs held it when it failed. None: it was idle.</summary>
    public ImmutableArray<StageId> Held { get; init; } = [];

    /// <summary>What was done.</summary>
    public string Done { get; init; } = "";

    /// <summary>Its GPUs: what was out of use is counted by them.</summary>
    public int Slots { get; init; }

    /// <summary>Since when it has been ready again. Null: it is out.</summary>
    public DateTimeOffset? BackAt { get; init; }

    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>When it went out, which is noticed later.</summary>
    public DateTimeOffset HappenedAt { get; init; } = OpenedAt;

    /// <summary>"node-0003/2": how people name it.</summary>
    public string Id() => $"{Node}/{Number}";

    internal NodeIncident To(IncidentState state, DateTimeOffset at, string text) => this with
    {
        State = state,
        Steps = Steps.Length < Incident.StepsMax ? Steps.Add(new IncidentStep(at, state, text)) : Steps,
    };
}

/// <summary>A node that is not ready, and has not been for long enough to be an incident.</summary>
/// <param name="Held">Stages whose gangs held it when it went.</param>
public sealed record NodeAway(DateTimeOffset Since, ImmutableArray<StageId> Held);

/// <summary>What is known of nodes that are out.</summary>
public sealed record NodeIncidents
{
    public ImmutableArray<NodeIncident> Open { get; init; } = [];

    /// <summary>By node: of its newest incident.</summary>
    public ImmutableDictionary<NodeId, int> Numbers { get; init; } = ImmutableDictionary<NodeId, int>.Empty;

    /// <summary>By node. What a stop of the control plane forgets begins anew.</summary>
    public ImmutableDictionary<NodeId, NodeAway> Away { get; init; } = ImmutableDictionary<NodeId, NodeAway>.Empty;

    /// <summary>As they stand now, and not in the ledger yet.</summary>
    public ImmutableArray<NodeIncident> Untold { get; init; } = [];

    internal NodeIncidents With(NodeIncident now)
    {
        var others = Open.RemoveAll(i => i.Node == now.Node);
        return this with
        {
            Open = now.State == IncidentState.Closed ? others : others.Add(now),
            Numbers = Numbers.SetItem(now.Node, now.Number),
            Untold = Untold.RemoveAll(i => i.Node == now.Node && i.Number == now.Number).Add(now),
        };
    }
}
