using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

public enum WayKind
{
    Uncordon = 0,
    FewerNodes = 1,
    Preempt = 2,
    EndMaintenance = 3,
}

/// <summary>Something a person can do so that a gang starts sooner.</summary>
/// <param name="Command">What does it, to be typed; empty: nothing does it but the asking of another gang.</param>
public sealed record StartWay(WayKind Kind, string Text, string Command)
{
    /// <summary>GPU time that it costs for certain; null: no figure is known.</summary>
    public double? GpuHours { get; init; }

    /// <summary>More GPU time that is lost if a gang that gives way cannot save.</summary>
    public double? GpuHoursAtRisk { get; init; }

    /// <summary>Share of wall time on top.</summary>
    public double? LongerBy { get; init; }

    /// <summary>Nodes that it is about: to uncordon, or how many to ask for.</summary>
    public ImmutableArray<NodeId> Nodes { get; init; } = [];

    public int AskNodes { get; init; }

    public ImmutableArray<StageId> Victims { get; init; } = [];
}
