using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Health;

/// <summary>What the first steps of a gang said of its nodes.</summary>
/// <param name="Sound">All of its ranks made their first steps on them.</param>
/// <param name="Failed">The new node that was swapped. Null: none was.</param>
/// <param name="Reason">With <paramref name="Failed"/>: why, as a sentence.</param>
public sealed record CheckedNodes(StageId Stage, DateTimeOffset At, ImmutableArray<NodeId> Sound, NodeFailure? Failed, string Reason);
