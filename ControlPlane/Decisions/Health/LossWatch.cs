using System.Collections.Immutable;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Health;

/// <summary>
/// The losses of one stage under the rule of <see cref="SpikeRule"/>, as its agents tell them. Memory only: after a restart of the control
/// plane a level is learnt anew. It advises; a number that is not finite is acted on elsewhere (<see cref="NumberBreak"/>).
/// </summary>
public sealed class LossWatch
{
    private readonly SpikeDetector detector = new();
    private StepSample? newest;

    /// <summary>Takes what a beat tells; what an earlier one told already is passed over.</summary>
    public ImmutableArray<LossFinding> Take(ImmutableArray<StepSample> samples, WatchedStage stage)
    {
        var found = ImmutableArray.CreateBuilder<LossFinding>();
        foreach (var sample in samples)
        {
            if (sample.Attempt == stage.Attempt && sample.Learned && IsNews(sample))
            {
                newest = sample;
                Take(sample, stage, found);
            }
        }

        return found.DrainToImmutable();
    }

    /// <summary>A step that was gone back to is later in time than the one it was gone back from.</summary>
    private bool IsNews(StepSample sample) => newest is null || sample.Attempt > newest.Attempt
        || (sample.Attempt == newest.Attempt && (sample.Step > newest.Step || sample.At > newest.At));

    private void Take(StepSample sample, WatchedStage stage, ImmutableArray<LossFinding>.Builder found)
    {
        detector.Take(new LossSample(sample.Step, sample.Loss, sample.GradNorm, sample.Phase));
        if (!double.IsFinite(sample.Loss) || !double.IsFinite(sample.GradNorm))
        {
            return;
        }

        foreach (var alarm in detector.Alarms)
        {
            string then = alarm.Kind == SpikeKind.Suspected ? $"; the {SpikeRule.JudgedAfter} steps after it show what it is" : "";
            found.Add(new LossFinding(sample.At, sample.Attempt, alarm.Step, "loss-flagged", EventLevel.Info, $"{alarm.Reason}{then}"));
        }

        foreach (var judged in detector.Judged.Where(a => a.Kind != SpikeKind.Divergence))
        {
            found.Add(new LossFinding(sample.At, sample.Attempt, judged.Step, "loss-judged", EventLevel.Info, judged.Reason));
        }

        foreach (var verdict in detector.Verdicts)
        {
            found.Add(new LossFinding(sample.At, sample.Attempt, verdict.FlaggedAt, "loss-diverged", EventLevel.Warning,
                $"{verdict.Reason}. {Advice(verdict, stage)}"));
        }
    }

    /// <summary>Nothing is done by itself; what a person would do now is said with the command for it.</summary>
    private static string Advice(SpikeVerdict verdict, WatchedStage stage)
    {
        var before = stage.Checkpoints.LastOrDefault(c => c.Usable && c.Made.Step < verdict.FlaggedAt);
        return before is null
            ? $"No checkpoint before it is left: try a lower learningRate (`dsops clone {stage.Id.Run} NEW-NAME`)"
            : $"Nothing is done by itself: `dsops retry {stage.Id.Run} --stage {stage.Id.Stage} --from {before.Made.Step}` goes back to "
                + "the newest checkpoint before it; where it rises again, the data of those steps or the learning rate is why";
    }
}
