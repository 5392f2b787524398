using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>Which rank runs where.</summary>
public sealed record RankPlacement(int Rank, NodeId Node, int LocalRank);

/// <summary>All that a node needs to run its part of an attempt.</summary>
/// <param name="RendezvousHost">Rank 0's node, where a gang of several ranks meets. Empty for one rank.</param>
/// <param name="BeginFrom">Weights to begin with: the final checkpoint of the stage before, or a published one. Null: random initialisation.</param>
/// <param name="StudentFrom">Distillation: where the student begins. Null: random initialisation.</param>
/// <param name="ResumeFrom">The checkpoint of this stage to go on from. Null: begin at step 0.</param>
public sealed record Assignment(
    StageId Stage, int Attempt, ImmutableArray<RankPlacement> Ranks, string RendezvousHost, int RendezvousPort, PipelineSpec Pipeline,
    CheckpointRef? BeginFrom, CheckpointRef? StudentFrom, CheckpointRef? ResumeFrom);
