using System.Globalization;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Health;

/// <summary>
/// Losses of the launch and of the one before it. The same batch on the same weights gives the same loss bit for bit; where it does not,
/// it was computed differently, and no data is to blame.
/// </summary>
internal sealed class LossReplay
{
    /// <summary>From a checkpoint to the judgement of a rise after it; the usual policy saves each 100 steps.</summary>
    private const int StepsHeld = 512;

    private readonly Queue<double> newest = new();
    private Dictionary<long, double> before = [];
    private Dictionary<long, double> present = [];
    private (long Step, double Loss, double Before)? differs;
    private int compared;

    /// <summary>The median of the newest losses.</summary>
    public double Now => newest.Count == 0 ? 0 : SpikeDetector.Median([.. newest]);

    public void Begin()
    {
        (before, present, differs, compared) = (present.Count == 0 ? before : present, [], null, 0);
        newest.Clear();
    }

    public void Take(StepSample sample)
    {
        if (newest.Count == SpikeRule.JudgedOver)
        {
            newest.Dequeue();
        }

        newest.Enqueue(sample.Loss);
        present[sample.Step] = sample.Loss;
        present.Remove(sample.Step - StepsHeld);
        if (before.TryGetValue(sample.Step, out double loss))
        {
            compared++;
            differs ??= loss.Equals(sample.Loss) ? null : (sample.Step, sample.Loss, loss);
        }
    }

    public static string CameAgain(LossAct act, StepSample sample, bool flagged) => flagged
        ? $"trained again on the same batches, the loss rose again at step {sample.Step}: it is theirs or the recipe's, "
            + "and not the machine's"
        : $"the loss is still up at step {sample.Step}, {sample.Step - act.ToStep} steps after the way back to step {act.ToStep}";

    /// <summary>The loss is where it was.</summary>
    public string CameDown(LossAct act)
    {
        string now = $"the loss is {Say(Now)} where its level was {Say(act.Level)} before the rise of step {act.FlaggedAt}";
        if (act.Move != LossMove.Replay)
        {
            return $"{now}: what was done about it held";
        }

        string machine = differs is var (step, loss, first)
            ? $"step {step} is the first whose loss differs ({Say(loss)}, before {Say(first)}), on the same batch and weights: "
                + "a machine that computed otherwise for once, or a change that passed, was why"
            : compared == 0 ? "its losses of before are not known any more, so nothing was compared"
            : $"all {compared} losses are the same as before, bit for bit";
        return $"trained again on the same batches, the loss did not rise: {machine}. No batch is left out; {now}";
    }

    private static string Say(double value) => value.ToString("G6", CultureInfo.InvariantCulture);
}
