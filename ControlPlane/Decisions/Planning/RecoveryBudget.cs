using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>A part of a recovery, between two ends in seconds, each that of the slowest rank.</summary>
/// <param name="Source">What it was measured with, or where it was published.</param>
public sealed record RecoveryPhase(string Name, double From, double To, string Source);

/// <summary>
/// From the end of one rank until the gang's first new step begins, where all others keep their processes and the gang goes on from what
/// its agents hold in memory. The step that was under way is done again, and is not in it.
/// </summary>
public sealed record RecoveryBudget(ImmutableArray<RecoveryPhase> Phases)
{
    /// <summary>Ranks beyond which no gang of ours has been connected.</summary>
    private const int MeasuredRanks = 8;

    /// <summary>What others have published: TrainMover (OSDI 2026), on 1,024 GPUs, in seconds.</summary>
    public const double TrainMoverSeconds = 20;

    public const double WantedSeconds = 10;

    public double From => Phases.Sum(p => p.From);

    public double To => Phases.Sum(p => p.To);

    /// <param name="stateBytes">Of a rank: what its agent holds of it.</param>
    public static RecoveryBudget Of(int ranks, double stateBytes)
    {
        double copy = stateBytes / Calibration.HostCopyBytesPerSecond;
        return new RecoveryBudget(
        [
            new("its agent sees the end", 0.14, 0.25, "4 H200, bench --forming"),
            new("decided, and ordered", 0, 1, "the control plane looks each second, and at urgent beats"),
            new("the others let go", 0.8, 0.95, "4 H200 with 7 communicators, bench --forming"),
            new("agents learn where all ranks are", 0, 1, "one more beat of each agent"),
            ranks > MeasuredRanks
                ? new("GPUs connected", 5, 5, "published: MegaScale (NSDI 2024), all groups of 2,048 GPUs in less than 5 s")
                : new("GPUs connected", 0.82, 0.87, "4 H200 with 7 communicators, bench --forming"),
            new("states loaded", 0.5 + copy, 4.3 + copy, "dsops drill on 2 and 4 H200, less connecting; "
                + FormattableString.Invariant($"{stateBytes / 1e9:0.0} GB at {Calibration.HostCopyBytesPerSecond / 1e9:0} GB/s")),
        ]);
    }

    /// <summary>All phases but the control plane's own, which a simulation plays.</summary>
    /// <param name="share">From 0 to 1, where each phase lies between its ends.</param>
    public double BesideDeciding(Func<double> share) =>
        Phases.Where((_, i) => i != Deciding).Sum(p => p.From + (share() * (p.To - p.From)));

    private const int Deciding = 1;
}
