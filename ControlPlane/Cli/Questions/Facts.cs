using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Pipelines;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <summary>What a question is answered from; each is a call of the Api or a few.</summary>
[Flags]
internal enum Need
{
    None = 0,
    Run = 1,
    /// <summary>The newest incident, of the run or of all, with its evidence.</summary>
    Incident = 2,
    Incidents = 4,
    Checkpoints = 8,
    Cluster = 16,
    Events = 32,
    Runs = 64,
    Health = 128,
    Audit = 256,
    Series = 512,
    Trace = 1_024,
    /// <summary>The pipelines of other runs, beside this one's.</summary>
    Alike = 2_048,
    /// <summary>Speeds at a few steps, of now and of before.</summary>
    Pace = 4_096,
    /// <summary>Those that run or failed first.</summary>
    AllRuns = 8_192,
}

/// <summary>Another run, and what differs between the two pipelines: of it first, then of the run that is asked about.</summary>
internal sealed record AlikeRun(string Name, DateTimeOffset SubmittedAt, ImmutableArray<DifferentField> Differences);

/// <param name="Step">Of the stage that it is asked about.</param>
internal sealed record Speed(long Step, double TokensPerSecond);

/// <summary>
/// What the control plane told at one moment. An answer is made of it alone: the same facts give the same answer. What was not asked for,
/// or is not there, is null.
/// </summary>
/// <param name="Since">Of what is asked about a time: so long until now.</param>
internal sealed record Facts(DateTimeOffset Now, TimeSpan Since)
{
    /// <summary>Where the dashboard is: "http://127.0.0.1:5080".</summary>
    public string Site { get; init; } = "";

    /// <summary>Empty: all runs are meant.</summary>
    public string Name { get; init; } = "";

    public Run? Run { get; init; }

    public IncidentReport? Incident { get; init; }

    public ListIncidentsReply? Incidents { get; init; }

    /// <summary>Runs that have ended well or were cancelled: their incidents need nobody any more.</summary>
    public ImmutableHashSet<string> Over { get; init; } = [];

    public IReadOnlyList<Checkpoint>? Checkpoints { get; init; }

    public Cluster? Cluster { get; init; }

    /// <summary>Of the run, in their order.</summary>
    public IReadOnlyList<Event>? Events { get; init; }

    /// <summary>Those that stand still, can never start or have failed.</summary>
    public IReadOnlyList<RunSummary>? Standing { get; init; }

    /// <summary>A page of all, and how many there are in each state.</summary>
    public ListRunsReply? Runs { get; init; }

    public Health? Health { get; init; }

    public GetVersionReply? Version { get; init; }

    /// <summary>Newest first.</summary>
    public IReadOnlyList<AuditLine>? Audit { get; init; }

    public IReadOnlyList<Series>? Series { get; init; }

    public Trace? Trace { get; init; }

    /// <summary>Those that differ least first.</summary>
    public IReadOnlyList<AlikeRun>? Alike { get; init; }

    public IReadOnlyList<Speed>? PaceBefore { get; init; }

    public IReadOnlyList<Speed>? PaceNow { get; init; }

    /// <summary>Why something could not be had, in words that follow "because".</summary>
    public ImmutableDictionary<Need, string> Missing { get; init; } = ImmutableDictionary<Need, string>.Empty;

    /// <summary>The stage that a run is at.</summary>
    public Stage? Stage => Run is { } run ? RunsVerb.Current(run.Stages) : null;

    public bool Simulated => Run?.Simulated ?? Incident?.Simulated ?? Incidents?.Simulated ?? Cluster?.Simulated ?? false;
}
