using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Api.Notices;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.ControlPlane.Api.Telemetry;

/// <summary>One of those that are asked at a scrape.</summary>
/// <param name="Answered">False: what it would have told is left out, and nothing old is told in its place.</param>
internal sealed record PartSeen(string Name, bool Answered, TimeSpan Took);

/// <summary>The control plane at one moment, as a scrape has found it.</summary>
internal sealed record Seen(DateTimeOffset At)
{
    public required string Version { get; init; }

    /// <summary>"sqlite" or "postgresql".</summary>
    public required string Database { get; init; }

    public required string Cluster { get; init; }

    public required StoreState Store { get; init; }

    public bool Ready { get; init; }

    public int Strays { get; init; }

    public ImmutableArray<NoticeTrouble> Untold { get; init; } = [];

    /// <summary>Of all runs, however many have ended. Null: nobody answered.</summary>
    public ImmutableSortedDictionary<string, int>? RunStates { get; init; }

    /// <summary>Those that have not ended.</summary>
    public ImmutableArray<RunMeasures> Runs { get; init; } = [];

    /// <summary>Null: nobody answered.</summary>
    public ImmutableDictionary<IncidentState, int>? Incidents { get; init; }

    /// <summary>Null: nobody answered.</summary>
    public ClusterView? Nodes { get; init; }

    public ImmutableArray<PartSeen> Parts { get; init; } = [];
}
