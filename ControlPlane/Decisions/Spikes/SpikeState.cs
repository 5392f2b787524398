using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Spikes;

/// <summary>All that a <see cref="SpikeDetector"/> knows: a few kB, whatever the length of the run.</summary>
/// <param name="Recent">Finite losses, oldest first.</param>
/// <param name="Norms">Gradient norms, oldest first.</param>
/// <param name="Open">Flags that are not judged yet, oldest first.</param>
/// <param name="Flagged">Steps of the newest flags, oldest first.</param>
public sealed record SpikeState(
    ImmutableArray<LossSeen> Recent, ImmutableArray<NormSeen> Norms, ImmutableArray<OpenFlag> Open, ImmutableArray<long> Flagged)
{
    public static SpikeState Empty { get; } = new([], [], [], []);

    public string Regime { get; init; } = "";

    /// <summary>Step of the newest sample. Null: there was none.</summary>
    public long? Step { get; init; }

    /// <summary>The newest sample was flagged, so that the next one of the same rise is no further alarm.</summary>
    public bool Up { get; init; }

    /// <summary>The newest loss was not finite.</summary>
    public bool Broken { get; init; }

    /// <summary>The newest gradient norm was high, or not finite.</summary>
    public bool Steep { get; init; }

    /// <summary>The newest gradient norm was flagged.</summary>
    public bool SteepTold { get; init; }
}

/// <summary>A loss that levels and spreads are taken from.</summary>
/// <param name="Loss">Null: of before a step back, so that it tells of the spread only.</param>
/// <param name="Distance">From the level of before it. Null: there was none.</param>
public readonly record struct LossSeen(long Step, double? Loss, double? Distance);

public readonly record struct NormSeen(long Step, double Norm);

/// <summary>A flag that waits for what comes after it.</summary>
/// <param name="Loss">Of the flagged step.</param>
/// <param name="Level">Of before the flag, and kept so.</param>
/// <param name="Samples">Since the flag.</param>
/// <param name="After">The newest of them, oldest first.</param>
public sealed record OpenFlag(
    long Step, double Loss, double Level, double Spread, string Reason, int Samples, ImmutableArray<double> After)
{
    /// <summary>One of the first samples after it was back.</summary>
    public bool Back { get; init; }
}
