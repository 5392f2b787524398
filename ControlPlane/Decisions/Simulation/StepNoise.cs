namespace DeepSeekOps.Decisions.Simulation;

/// <summary>How a step's time scatters about its mean: most steps by a normal, a few much slower by an exponential.</summary>
/// <param name="Deviation">Standard deviation of most steps over their mean.</param>
/// <param name="SlowShare">Share of steps that are slow.</param>
/// <param name="SlowBy">Mean excess of a slow step over the others.</param>
public sealed record StepNoise(double Deviation, double SlowShare, double SlowBy)
{
    public static StepNoise None { get; } = new(0, 0, 0);

    /// <summary>
    /// Fitted to the step times of six public MLPerf 5.0 and 5.1 runs of Llama 3.1 405B, without the first five steps of each. Deviation:
    /// that of the one on 256 × 8 GPUs (eos-dfw; 1.4826 × its median absolute deviation is 0.28 % too). Slow steps, beyond six such
    /// deviations of their run: 36 of 2,119 over all six, 7.9 % slower in the mean.
    /// </summary>
    public static StepNoise Measured { get; } = new(0.0028, 36.0 / 2119, 0.079);

    /// <returns>A factor of the mean step's time; its mean is 1, since the mean that a plan gives holds slow steps too.</returns>
    public double Draw(Random random)
    {
        double normal = Normal(random);
        double slow = SlowShare > 0 && random.NextDouble() < SlowShare ? -SlowBy * Math.Log(1 - random.NextDouble()) : 0;
        return Math.Max(0.5, 1 + (Deviation * normal) + slow) / (1 + (SlowShare * SlowBy));
    }

    /// <summary>A standard normal number (Box and Muller).</summary>
    public static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
