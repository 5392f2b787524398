namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>A measured value with its 95 % interval.</summary>
public readonly record struct Interval(double Value, double Low, double High, int Samples)
{
    private const double Z = 1.959964;

    /// <summary>A share of successes, by Wilson's score, which stays inside [0, 1] for small samples too.</summary>
    public static Interval Of(int successes, int samples)
    {
        if (samples == 0)
        {
            return new Interval(0, 0, 1, 0);
        }
        var share = (double)successes / samples;
        var spread = Z * Math.Sqrt((share * (1 - share) / samples) + (Z * Z / (4.0 * samples * samples)));
        var scale = 1 + (Z * Z / samples);
        var centre = share + (Z * Z / (2.0 * samples));
        return new Interval(share, Math.Max(0, (centre - spread) / scale), Math.Min(1, (centre + spread) / scale), samples);
    }

    /// <summary>A mean of some thirty samples or more, where the normal distribution is near enough.</summary>
    public static Interval OfMean(IReadOnlyList<double> samples)
    {
        var mean = samples.Average();
        var variance = samples.Sum(s => (s - mean) * (s - mean)) / Math.Max(1, samples.Count - 1);
        var spread = Z * Math.Sqrt(variance / samples.Count);
        return new Interval(mean, mean - spread, mean + spread, samples.Count);
    }
}
