using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.ControlPlane.Grains;

// Orleans wants a grain's state to have an empty form; a holder makes "no record yet" null. Acts are written into the audit log with the
// state that they led to, and are no part of it.

public sealed record StageRecord : IWithActs
{
    public Stage? Value { get; init; }

    [JsonIgnore]
    public ImmutableArray<AuditAct> Acts { get; init; } = [];
}

public sealed record RunRecord : IWithActs
{
    public Run? Value { get; init; }

    [JsonIgnore]
    public ImmutableArray<AuditAct> Acts { get; init; } = [];
}

/// <summary>Beside what placement keeps, since it is written far less often.</summary>
public sealed record NodeTestsRecord
{
    public ImmutableArray<NodeTest> Known { get; init; } = [];

    public ImmutableArray<TriedNode> Tried { get; init; } = [];
}

/// <summary>Beside what placement keeps: nothing is granted by it.</summary>
public sealed record NodeIncidentsRecord
{
    public NodeIncidents Value { get; init; } = new();
}

/// <summary>Beside what placement keeps too: nothing is granted by it.</summary>
public sealed record StartsRecord
{
    public StartBook Book { get; init; } = new();
}

/// <summary>Requests that wait and grants that are held: together, all gangs that may have pods or get them.</summary>
public sealed record ClusterRecord : IWithActs
{
    [JsonIgnore]
    public ImmutableArray<AuditAct> Acts { get; init; } = [];

    [JsonIgnore]
    public GangBook Book => new(Held, Waiting, Moves);

    public ImmutableArray<GangRequest> Waiting { get; init; } = [];

    public ImmutableArray<GangGrant> Held { get; init; } = [];

    public ImmutableArray<Cordon> Cordons { get; init; } = [];

    /// <summary>Planned by people, beside those of the settings file.</summary>
    public ImmutableArray<MaintenanceWindow> Maintenance { get; init; } = [];

    public ImmutableArray<HandMove> Moves { get; init; } = [];

    /// <summary>Gangs that a person asked to give way, until they are gone.</summary>
    public ImmutableArray<Preemption> GivingWay { get; init; } = [];

    public ImmutableArray<NodeFailure> Failures { get; init; } = [];

    /// <summary>What people did, for the ledger, written with what it tells of. Those that were told go with a later write.</summary>
    public ImmutableArray<RunEvent> Outbox { get; init; } = [];

    public ClusterRecord With(GangBook book) => this with { Held = book.Held, Waiting = book.Waiting, Moves = book.Moves };
}
