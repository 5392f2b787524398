using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>All that a node needs to run its part of an attempt.</summary>
/// <param name="Ranks">Of the node that it is for, and no others: hundreds of nodes are told, and there are thousands of ranks.</param>
/// <param name="WorldSize">Ranks of the whole gang.</param>
/// <param name="BeginFrom">Weights to begin with: the final checkpoint of the stage before, or a published one. Null: random
/// initialisation.</param>
/// <param name="StudentFrom">Distillation: where the student begins. Null: random initialisation.</param>
/// <param name="ResumeFrom">The newest known checkpoint of this stage; a newer whole one that the rank finds on disk wins. Null: none is
/// known.</param>
public sealed record Assignment(
    StageId Stage, int Attempt, ImmutableArray<RankPlacement> Ranks, int WorldSize, PipelineSpec Pipeline,
    CheckpointRef? BeginFrom, CheckpointRef? StudentFrom, CheckpointRef? ResumeFrom)
{
    /// <summary>That the gang is placed on; each has as many of its ranks.</summary>
    public int Nodes => Ranks.IsEmpty ? 1 : Math.Max(1, WorldSize / Ranks.Length);

    /// <summary>Checkpoints of attempts up to this one, beyond the one to go on from, were set aside by a person's retry.</summary>
    public int RoundBegan { get; init; }

    /// <summary>What it is laid out as, where that is not all that the stage asks for. Null: it is.</summary>
    public ShrunkLayout? Shrunk { get; init; }

    /// <summary>Each rank is where its state may lie in memory. False: the gang shrank, and what it needs lies elsewhere.</summary>
    public bool StatesFit { get; init; } = true;

    /// <summary>The pipeline as its ranks are laid out for it.</summary>
    public PipelineSpec LaidOut => Shrunk?.Apply(Pipeline, Stage.Stage) ?? Pipeline;

    /// <summary>Of the whole layout's pace: what simulated ranks step by. Real ones find out.</summary>
    public double Rate => Shrunk?.Rate ?? 1;

    /// <summary>Of the run whose checkpoints may be used, its own first.</summary>
    public ImmutableArray<string> Registrations { get; init; } = [""];

    /// <summary>Numbers of the batches that are not trained, ascending.</summary>
    public ImmutableArray<long> LeftOut { get; init; } = [];

    /// <summary>What was done about losses that rose: checkpoints not to go on from, and steps of another rate.</summary>
    public ImmutableArray<LossAct> LossActs { get; init; } = [];

    /// <summary>W3C traceparent of the recovery that the launch is part of; empty: it is part of none.</summary>
    public string Traceparent { get; init; } = "";

    /// <summary>Steps of checkpoints that retention leaves alone.</summary>
    public ImmutableArray<long> Pinned { get; init; } = [];
}
