using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Benchmarks;

/// <summary>What other trainers ship against spikes, written after their published description: one sample in, flagged or not.</summary>
internal static class PublishedSpikeRules
{
    /// <summary>
    /// OLMo-core's SkipStepOptimizer: a step is skipped unless loss and gradient norm are both within 6 standard deviations of the mean of
    /// the 128 before (from 64 on). A comparison with NaN is false, so NaN is skipped.
    /// </summary>
    public static Func<LossSample, bool> OlmoCore(int batches)
    {
        _ = batches;
        var losses = new Queue<double>();
        var norms = new Queue<double>();
        return sample =>
        {
            bool flagged = !Inside(losses, sample.Loss) || (sample.GradNorm is { } norm && !Inside(norms, norm));
            Push(losses, sample.Loss, 128);
            if (sample.GradNorm is { } told)
            {
                Push(norms, told, 128);
            }

            return flagged;
        };

        static bool Inside(Queue<double> before, double value)
        {
            if (before.Count < 64)
            {
                return true;
            }

            double mean = before.Average();
            double deviation = Math.Sqrt(before.Sum(v => (v - mean) * (v - mean)) / (before.Count - 1));
            return value - mean <= 6 * deviation;
        }
    }

    /// <summary>
    /// llm-foundry's KillLossSpike: window of 100 batches or 5 % of all. A loss of at least twice its mean is an outlier, more than
    /// 4 in a row are a spike; so is, after two windows, a window half of which is above the first one's largest (10 at most).
    /// </summary>
    public static Func<LossSample, bool> LlmFoundry(int batches)
    {
        int length = Math.Max(100, batches / 20);
        var window = new Queue<double>();
        double cap = 10;
        int seen = 0, outliers = 0;
        return sample =>
        {
            bool flagged = false;
            if (window.Count == length)
            {
                cap = seen == length ? Math.Min(window.Max(), 10) : cap;
                outliers = sample.Loss >= 2 * window.Average() ? outliers + 1 : 0;
                flagged = outliers > 4 || (seen > 2 * length && window.Count(v => v > cap) >= length / 2.0);
            }

            Push(window, sample.Loss, length);
            seen++;
            return flagged;
        };
    }

    /// <summary>
    /// ZClip: moving mean and variance (0.97, begun with 25 samples) of the gradient norm; beyond 2.5 deviations it is clipped, and the
    /// clipped value moves them. Of the loss where no norm is told, which is not how it is meant.
    /// </summary>
    public static Func<LossSample, bool> ZClip(int batches)
    {
        _ = batches;
        var first = new List<double>();
        double mean = 0, variance = 0;
        return sample =>
        {
            double value = sample.GradNorm ?? sample.Loss;
            if (first.Count < 25)
            {
                first.Add(value);
                mean = first.Average();
                variance = first.Sum(v => (v - mean) * (v - mean)) / first.Count;
                return false;
            }

            double z = (value - mean) / (Math.Sqrt(variance) + 1e-6);
            double clipped = z > 2.5 ? mean + (2.5 * 2.5 / z * Math.Sqrt(variance)) : value;
            mean = (0.97 * mean) + (0.03 * clipped);
            variance = (0.97 * variance) + (0.03 * (clipped - mean) * (clipped - mean));
            return z > 2.5;
        };
    }

    private static void Push(Queue<double> window, double value, int most)
    {
        window.Enqueue(value);
        if (window.Count > most)
        {
            window.Dequeue();
        }
    }
}
