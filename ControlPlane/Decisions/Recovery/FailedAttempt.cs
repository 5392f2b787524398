using System.Collections.Immutable;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>All that a rung of the ladder may know of a failure.</summary>
/// <param name="MadeStep">The attempt that failed had made at least one step.</param>
/// <param name="Restarts">Launches beside the first since the last new checkpoint, oldest first; not this one yet.</param>
/// <param name="FromRandom">The stage began with random weights.</param>
public sealed record FailedAttempt(
    WatchedStage Stage, Failure Failure, bool MadeStep, ImmutableArray<Restart> Restarts, bool FromRandom, DateTimeOffset Now)
{
    /// <summary>Nodes of its gang that its first steps are still to check. Empty: they have, or none is new.</summary>
    public ImmutableArray<NodeId> Unchecked { get; init; } = [];

    /// <summary>Nodes that failed the stage lately.</summary>
    public ImmutableArray<AvoidedNode> Avoided { get; init; } = [];
}

/// <summary>A launch beside the first.</summary>
/// <param name="MadeStep">The attempt that failed had made at least one step.</param>
/// <param name="Node">Where it failed.</param>
public sealed record Restart(DateTimeOffset At, FailureCause Cause, string Signature, int FailedAttempt, bool MadeStep, NodeId Node);

/// <summary>A node that failed a stage. Used again only if there is no other way, or after its time.</summary>
public sealed record AvoidedNode(NodeId Node, string Reason, DateTimeOffset Since)
{
    /// <summary>It was new, and was swapped before its gang had made its first steps.</summary>
    public bool WasNew { get; init; }

    /// <inheritdoc cref="Failure.Signature"/>
    public string Signature { get; init; } = "";
}
