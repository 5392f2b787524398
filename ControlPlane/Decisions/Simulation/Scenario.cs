using System.Collections.Immutable;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>What goes wrong beside the machines. Chances per message, write or question.</summary>
/// <param name="BeatLateSeconds">A beat that is late is so by up to this; later ones overtake it.</param>
/// <param name="CrashDown">How long the control plane is away after a crash.</param>
public sealed record Chaos(
    double BeatLost, double BeatTwice, double BeatLate, double BeatLateSeconds, double Crash, TimeSpan CrashDown, double ClusterSilent,
    double Refusal)
{
    public static Chaos None { get; } = new(0, 0, 0, 0, 0, TimeSpan.Zero, 0, 0);
}

/// <summary>A run that is submitted some time after the start.</summary>
public sealed record Arrival(TimeSpan After, RunSubmission Submission);

/// <summary>A fault that is not drawn but written.</summary>
public sealed record ScriptedFault(TimeSpan At, NodeId Node, FaultCause Cause)
{
    /// <summary>When the machine is whole again. Null: a repair is drawn.</summary>
    public TimeSpan? Until { get; init; }
}

/// <summary>Everything that a simulation depends on: the same scenario and seed give the same course, to the last tick.</summary>
/// <param name="Limit">It ends then, if the runs have not.</param>
public sealed record Scenario(
    ImmutableArray<Arrival> Arrivals, ImmutableArray<NodeSeen> Machines, ImmutableDictionary<StageId, StageTiming> Stages, FaultMix Faults,
    ClusterTiming Timing, Chaos Chaos, PlacementPolicy Policy, double ActiveParameters, TimeSpan Limit, int Seed)
{
    public ImmutableArray<ScriptedFault> Script { get; init; } = [];
}
