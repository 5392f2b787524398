using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Tests.Spikes;

/// <summary>Losses with a known truth: a course that falls, noise of a seed, and what is done to it.</summary>
internal static class Courses
{
    public static LossSample[] Healthy(int count, int seed, double noise = 0.03)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(1, count).Select(step => new LossSample(
            step, 2 + (3 / (1 + (step / 200.0))) + (noise * Normal(random)), 1 + (0.1 * Normal(random))))];
    }

    public static LossSample[] With(this LossSample[] course, int from, int count, Func<LossSample, LossSample> change)
    {
        LossSample[] changed = [.. course];
        for (int i = from; i < from + count; i++)
        {
            changed[i] = change(changed[i]);
        }

        return changed;
    }

    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
