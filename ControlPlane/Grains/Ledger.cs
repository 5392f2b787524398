using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Tracing;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>
/// The ledger as grains see it: what they tell it, and nothing they could decide by. The host binds each to Storage's writers.
/// All may be told the same thing twice.
/// </summary>
public sealed record Ledger
{
    /// <summary>Durable when it returns. An event that is there already is kept once.</summary>
    public required Func<ImmutableArray<RunEvent>, CancellationToken, Task> AppendEvents { get; init; }

    /// <summary>By (stage, step).</summary>
    public required Func<StageId, ImmutableArray<StageCheckpoint>, CancellationToken, Task> RecordCheckpoints { get; init; }

    /// <summary>By (stage, number).</summary>
    public required Func<Incident, CancellationToken, Task> RecordIncident { get; init; }

    /// <summary>By (node, number).</summary>
    public required Func<NodeIncident, CancellationToken, Task> RecordNodeIncident { get; init; }

    /// <summary>By (stage, attempt). Durable when it returns; of one attempt the first is kept.</summary>
    public required Func<Evidence, CancellationToken, Task> KeepEvidence { get; init; }

    /// <summary>By (run, id). Durable when it returns; the newest few of a run are kept.</summary>
    public required Func<StageTrace, CancellationToken, Task> KeepTrace { get; init; }

    /// <summary>By id. Durable when it returns; for what is written nowhere else.</summary>
    public required Func<ImmutableArray<AuditAct>, CancellationToken, Task> RecordActs { get; init; }

    /// <summary>By name.</summary>
    public required Func<RunView, CancellationToken, Task> RecordRun { get; init; }

    /// <summary>Never waits. Null: no room now, the agent will send them again. The task ends when they are durable.</summary>
    public required Func<StageId, ImmutableArray<StepSample>, Task?> TakeSamples { get; init; }

    /// <summary>As <see cref="TakeSamples"/>.</summary>
    public required Func<StageId, ImmutableArray<ExpertLoad>, Task?> TakeExpertLoads { get; init; }

    /// <summary>Names of runs that had not ended when last recorded. Only wakes their grains; they know better where they are.</summary>
    public required Func<CancellationToken, Task<ImmutableArray<string>>> UnfinishedRuns { get; init; }
}
