using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Health;

/// <summary>
/// What a step usually takes, and by how much some were slower: in a gang one slow rank holds all others, so the whole gang pays. Learnt
/// anew with each context phase, whose steps are others.
/// </summary>
public sealed record UsualPace(string Phase, ImmutableArray<double> Window, double? Best)
{
    /// <summary>Ours: the median of so many is not moved by a pause for a checkpoint or for an evaluation.</summary>
    private const int Steps = 32;

    /// <summary>
    /// Slower than this, a step was held up. Ours: steps of one phase differ by a tenth on a quiet machine; half as slow again is what a
    /// throttled GPU costs.
    /// </summary>
    private const double Slower = 1.25;

    public static readonly UsualPace Unlearnt = new("", [], null);

    /// <returns>And the seconds beyond the usual.</returns>
    public (UsualPace Next, double Slow) Take(StepSample sample)
    {
        if (!(sample.StepSeconds > 0) || !double.IsFinite(sample.StepSeconds))
        {
            return (this, 0);
        }

        var pace = sample.Phase == Phase ? this : Unlearnt with { Phase = sample.Phase };
        double slow = pace.Best is { } best && sample.StepSeconds > best * Slower ? sample.StepSeconds - best : 0;
        var window = pace.Window.Add(sample.StepSeconds);
        return window.Length < Steps ? (pace with { Window = window }, slow)
            : (pace with { Window = [], Best = Math.Min(pace.Best ?? double.MaxValue, window.Order().ElementAt(Steps / 2)) }, slow);
    }
}
