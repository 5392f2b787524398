using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>A checked pipeline with its text, to be run under a name.</summary>
public sealed record RunSubmission(string Name, PipelineSpec Pipeline, string Text)
{
    /// <summary>Checkpoints that lie under this name already are this run's from now on.</summary>
    public bool Adopt { get; init; }

    /// <summary>What stands for it, such as "TrainingPipeline dsops/mini". Empty: a person or a program submitted it.</summary>
    public string DeclaredBy { get; init; } = "";
}

/// <summary>Where a run is. Closed; <see cref="RunPlanner"/> owns every transition, docs/states.md draws them.</summary>
[JsonDerivedType(typeof(Queued), "queued")]
[JsonDerivedType(typeof(Running), "running")]
[JsonDerivedType(typeof(Pausing), "pausing")]
[JsonDerivedType(typeof(Paused), "paused")]
[JsonDerivedType(typeof(Cancelling), "cancelling")]
[JsonDerivedType(typeof(Completed), "completed")]
[JsonDerivedType(typeof(Failed), "failed")]
[JsonDerivedType(typeof(Cancelled), "cancelled")]
public abstract record RunPhase
{
    private RunPhase() { }

    [JsonIgnore]
    public bool Terminal => this is Completed or Failed or Cancelled;

    /// <summary>No stage of this round has had nodes yet.</summary>
    public sealed record Queued : RunPhase;

    public sealed record Running : RunPhase;

    public sealed record Pausing : RunPhase;

    public sealed record Paused : RunPhase;

    public sealed record Cancelling : RunPhase;

    public sealed record Completed(DateTimeOffset At) : RunPhase;

    public sealed record Failed(DateTimeOffset At) : RunPhase;

    public sealed record Cancelled(DateTimeOffset At) : RunPhase;
}

/// <summary>A stage in its run: its work, and what it was handed and hands on.</summary>
/// <param name="Round">The round in which it was last asked to train; 0: never.</param>
/// <param name="BeginFrom">The final checkpoint of the stage before; of the first stage a published one.</param>
/// <param name="FromStep">With a retry: the step to go on from.</param>
/// <param name="Final">What it hands on, once completed in its round.</param>
/// <param name="Approved">A person said go, where a gate asks for it.</param>
public sealed record RunStage(
    StageWork Work, int Round, CheckpointRef? BeginFrom, CheckpointRef? StudentFrom, long? FromStep, CheckpointRef? Final, bool Approved);

/// <summary>All that is remembered of a run.</summary>
/// <param name="Current">Index of the stage whose turn it is; the number of stages when all are done.</param>
/// <param name="Round">Grows with each retry.</param>
public sealed record Run(
    string Name, PipelineSpec Pipeline, string Text, DateTimeOffset SubmittedAt, RunPhase Phase, Intent Intent, string Reason,
    int Current, int Round, ImmutableArray<RunStage> Stages, ImmutableArray<RunEvent> Outbox)
{
    /// <summary>A person's newest hold on its automation, over or not. Null: there was none.</summary>
    public PersonsHold? Held { get; init; }

    /// <summary>What it waits for a person with, and the ways to answer. Empty: it waits for nobody.</summary>
    public string Question { get; init; } = "";

    /// <summary>What a person last asked to take back. Null: nothing.</summary>
    public UndoWish? Undo { get; init; }

    /// <inheritdoc cref="RunSubmission.DeclaredBy"/>
    public string DeclaredBy { get; init; } = "";
}
