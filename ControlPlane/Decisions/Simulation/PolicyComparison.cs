using System.Collections.Immutable;
using DeepSeekOps.Decisions.Goodput;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>
/// Mean of a few draws with the half width of its 95 % confidence interval, by Student's t. Null: one draw says nothing of it.
/// </summary>
public sealed record Estimate(double Mean, double? HalfWidth)
{
    /// <summary>Two-sided 95 % quantiles for 1 to 30 degrees of freedom; beyond, the normal's.</summary>
    private static readonly ImmutableArray<double> Student =
    [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];

    /// <summary>Null where nothing was drawn.</summary>
    public static Estimate? Of(IReadOnlyList<double> draws)
    {
        if (draws.Count == 0)
        {
            return null;
        }

        double mean = draws.Average();
        if (draws.Count < 2)
        {
            return new Estimate(mean, null);
        }

        double deviation = Math.Sqrt(draws.Sum(d => (d - mean) * (d - mean)) / (draws.Count - 1));
        double t = draws.Count - 2 < Student.Length ? Student[draws.Count - 2] : 1.96;
        return new Estimate(mean, t * deviation / Math.Sqrt(draws.Count));
    }
}

/// <summary>One policy over all seeds. Means are over the runs that did not give up; null: none such had it.</summary>
/// <param name="LostGpuHours">
/// Lost work, detection, restart, queue, the stops for checkpoints and what smaller layouts leave unused.
/// </param>
/// <param name="LostGpuHoursBeyond">Over the same seeds' figure of <see cref="SimulatedPolicy.AsPlanned"/>; pairs of equal seed.</param>
/// <param name="RecoverySeconds">Over the seeds in which something was recovered from.</param>
/// <param name="Completed">Of the seeds, how many runs came to their end (or to the limit of days still training).</param>
/// <param name="GaveUp">Seeds whose run did not, and which no mean includes.</param>
public sealed record ComparedPolicy(
    string Name, string Source, Estimate? Ettr, Estimate? Days, Estimate? LostGpuHours, Estimate? LostGpuHoursBeyond, Estimate? Dollars,
    Estimate? RecoverySeconds, int Completed, ImmutableArray<long> GaveUp);

/// <summary>Policies side by side, each on the same seeds. Everything in it is simulated.</summary>
public sealed record PolicyComparison(string Name, bool Simulated, string Faults, ImmutableArray<long> Seeds,
    ImmutableArray<ComparedPolicy> Policies)
{
    private static readonly ImmutableArray<GoodputBucket> Lost =
    [
        GoodputBucket.LostWork, GoodputBucket.Detection, GoodputBucket.Restart, GoodputBucket.Queue, GoodputBucket.Checkpoint,
        GoodputBucket.Shrunk,
    ];

    /// <summary>All simulations that a comparison needs, in order of policy and then seed. Each is independent of the others.</summary>
    public static ImmutableArray<SimulatedPipeline> Plays(SimulatedPipeline what, int seeds) =>
        [.. SimulatedPolicy.All.SelectMany(
            policy => Enumerable.Range(0, seeds).Select(i => policy.Apply(what) with { Seed = what.Seed + i }))];

    /// <param name="reports">Of <see cref="Plays"/>, in its order.</param>
    public static PolicyComparison Of(SimulatedPipeline what, int seeds, IReadOnlyList<SimulationReport> reports)
    {
        var byPolicy = SimulatedPolicy.All.Zip(reports.Chunk(seeds)).ToArray();
        var planned = byPolicy.Single(p => p.First.Name == SimulatedPolicy.AsPlanned).Second;
        return new PolicyComparison(what.Pipeline.Name, true, what.Faults.Name, [.. Enumerable.Range(0, seeds).Select(i => what.Seed + i)],
            [.. byPolicy.Select(p => Over(p.First, p.Second, planned))]);
    }

    private static ComparedPolicy Over(SimulatedPolicy policy, SimulationReport[] reports, SimulationReport[] planned)
    {
        SimulationReport[] ended = [.. reports.Where(Ended)];
        var pairs = reports.Zip(planned).Where(p => Ended(p.First) && Ended(p.Second));
        return new ComparedPolicy(
            policy.Name, policy.Source, Estimate.Of([.. ended.Select(r => r.Ettr).OfType<double>()]),
            Estimate.Of([.. ended.Select(r => r.WallClockSeconds / 86_400)]), Estimate.Of([.. ended.Select(LostHours)]),
            Estimate.Of([.. pairs.Select(p => LostHours(p.First) - LostHours(p.Second))]), Estimate.Of([.. ended.Select(r => r.Dollars)]),
            Estimate.Of([.. ended.Select(r => r.MeanRecoverySeconds).OfType<double>()]), ended.Length,
            [.. reports.Where(r => !Ended(r)).Select(r => r.Seed)]);
    }

    private static bool Ended(SimulationReport report) => report.State != "failed";

    private static double LostHours(SimulationReport report) => Lost.Sum(b => report.GpuSeconds[GoodputBuckets.NameOf(b)]) / 3600;
}
