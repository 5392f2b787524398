using DeepSeekOps.Worker.Data;

namespace DeepSeekOps.Worker.Sampling;

/// <summary>
/// Draws tokens, and judges guesses so that what is said has the main model's distribution whatever the guesser's is (arXiv
/// 2211.17192, section 2.3).
/// </summary>
public static class SpeculativeChoice
{
    /// <summary>Probabilities at a temperature; at 0 all of it lies on the likeliest token.</summary>
    public static double[] Probabilities(ReadOnlySpan<float> logits, double temperature)
    {
        var probabilities = new double[logits.Length];
        var best = 0;
        for (var i = 1; i < logits.Length; i++)
        {
            best = logits[i] > logits[best] ? i : best;
        }

        if (temperature == 0)
        {
            probabilities[best] = 1;
            return probabilities;
        }

        var sum = 0.0;
        for (var i = 0; i < logits.Length; i++)
        {
            sum += probabilities[i] = Math.Exp((logits[i] - logits[best]) / temperature);
        }

        for (var i = 0; i < logits.Length; i++)
        {
            probabilities[i] /= sum;
        }

        return probabilities;
    }

    /// <summary>One token by weights, which need not add up to 1.</summary>
    public static int Draw(double[] weights, ref SeededRandom random)
    {
        var left = random.NextDouble() * weights.Sum();
        var last = 0;
        for (var i = 0; i < weights.Length; i++)
        {
            if (weights[i] > 0)
            {
                last = i;
                left -= weights[i];
                if (left < 0)
                {
                    break;
                }
            }
        }

        return last;
    }

    /// <summary>The guess, kept with probability min(1, p/q), or a token from what p has more of than q.</summary>
    public static (int Token, bool Kept) Judge(double[] main, double[] guesser, int guess, ref SeededRandom random)
    {
        if (random.NextDouble() * guesser[guess] < main[guess])
        {
            return (guess, true);
        }

        double[] rest = [.. main.Zip(guesser, (p, q) => Math.Max(0, p - q))];
        return (Draw(rest, ref random), false);
    }
}
