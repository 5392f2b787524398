using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>What a stage is to do and what it may take; fixed when the run is submitted.</summary>
/// <param name="Kind">"pretraining", "context-extension", "sft", "rl", "distillation".</param>
/// <param name="SlotsPerNode">Ranks on each node.</param>
/// <param name="StudentFrom">Distillation: the earlier stage whose final checkpoint the student begins with. Null: random.</param>
public sealed record StageWork(
    string Name, string Kind, long TotalSteps, long TotalTokens, int Nodes, int SlotsPerNode, int Priority, string Team,
    int KeepCheckpoints, string? StudentFrom, RecoveryPolicy Recovery)
{
    public int Ranks => Nodes * SlotsPerNode;

    /// <summary>
    /// Whose checkpoints in the stage's folder are its own: the run's registration, and those that a person adopted at submission. Runs
    /// from before there were registrations have the empty one.
    /// </summary>
    public ImmutableArray<string> Registrations { get; init; } = [""];

    /// <summary>Attempts that adopted checkpoints were made in; the first launch counts on from them.</summary>
    public int AttemptsBefore { get; init; }

    /// <summary>What placement may know of it in advance, from the plan.</summary>
    public GangNeeds Needs { get; init; } = new();
}

public enum Intent
{
    Train = 0,
    Pause = 1,
    Cancel = 2,
}

/// <summary>What the run wants of a stage now. Said again and again; the stage compares it with where it is.</summary>
/// <param name="Round">Grows with each retry by a person. A stage that has ended begins again only for a higher round.</param>
/// <param name="FromStep">With a new round: the step to go on from. Null: the newest good checkpoint; 0: the beginning.</param>
public sealed record StageWish(
    StageId Stage, int Round, Intent Intent, string Reason, StageWork Work, PipelineSpec Pipeline, CheckpointRef? BeginFrom,
    CheckpointRef? StudentFrom, long? FromStep)
{
    /// <summary>A person keeps automation from acting, or did. Null: nobody has yet.</summary>
    public PersonsHold? Held { get; init; }

    /// <summary>What a person last asked to take back. Null: nothing.</summary>
    public UndoWish? Undo { get; init; }
}

/// <summary>What a stage tells its run.</summary>
/// <param name="Round">The round the stage works on, or ended.</param>
/// <param name="Final">With Completed: the checkpoint that is handed on.</param>
/// <param name="UsableSteps">Steps of the checkpoints that a retry may go on from.</param>
public sealed record StageReport(
    StageId Stage, int Round, Phase Phase, string Reason, CheckpointRef? Final, ImmutableArray<long> UsableSteps, StageView View)
{
    /// <summary>Why the run is to be held for a person. Empty: it is not.</summary>
    public string Hold { get; init; } = "";

    /// <summary>The newest incident as far as a person's hand on it goes. Null: there was none.</summary>
    public IncidentReport? Incident { get; init; }

    /// <summary>The newest way back from a loss that rose, as long as it is not known whether it helped. Null: it is known.</summary>
    public LossAct? RiseInTrial { get; init; }

    /// <summary>Null: told by nobody who counts.</summary>
    public StageMeasures? Measures { get; init; }
}

/// <param name="Undo">Whether what was done for it can be taken back. Null: nothing was done.</param>
public sealed record IncidentReport(int Number, IncidentState State, string TakenBy, UndoAnswer? Undo);

public static class StageWishes
{
    /// <summary>The wish says something new. Work and pipeline are fixed for a run, and a wish of an older round came late.</summary>
    public static bool Differs(StageWish written, StageWish wish) => wish.Round >= written.Round
        && ((wish.Round, wish.Intent, wish.Reason, wish.BeginFrom, wish.StudentFrom, wish.FromStep)
            != (written.Round, written.Intent, written.Reason, written.BeginFrom, written.StudentFrom, written.FromStep)
            || wish.Held != written.Held || wish.Undo != written.Undo);
}
