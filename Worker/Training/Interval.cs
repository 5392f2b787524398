namespace DeepSeekOps.Worker.Training;

/// <summary>A share of successes with its 95 % interval by Wilson's score, which stays inside [0, 1] for small samples too.</summary>
public readonly record struct Interval(double Value, double Low, double High, int Samples)
{
    private const double Z = 1.959964;

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
}
