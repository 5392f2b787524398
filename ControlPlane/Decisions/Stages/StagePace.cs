using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>What a stage that trains tells placement of its pace.</summary>
public static class StagePace
{
    /// <summary>Null: nothing is measured, since it does not train.</summary>
    public static GangPace? Of(Stage stage, Observation seen)
    {
        if (stage.Phase is not Phase.Running { Gang: var gang } || (seen.Latest ?? stage.Latest) is not { } sample || sample.Attempt != stage.Attempt)
        {
            return null;
        }

        var newest = CheckpointChoice.Newest(stage.Checkpoints)?.Made;
        long unsaved = Math.Max(0, sample.Step - Math.Max(newest?.Step ?? 0, 0));
        var launch = seen.AgentsOf(gang).Select(a => a.LaunchSeconds).FirstOrDefault(l => !l.IsEmpty);
        return new GangPace(stage.Id, gang.Gang, Span(Remaining(stage, sample)), Span(sample.StepSeconds * unsaved),
            newest is null ? null : newest.Stall + newest.Lag, launch is null ? null : Span(launch.Values.Sum()));
    }

    /// <summary>
    /// A pretraining's batch grows, and with it its steps: what is left is the plan's time for it, scaled by how this step compares
    /// with the plan's for its batch. All else goes on at the pace of this step.
    /// </summary>
    private static double Remaining(Stage stage, StepSample sample)
    {
        long steps = Math.Max(0, stage.Wish.Work.TotalSteps - sample.Step);
        var (pipeline, spec) = (stage.Wish.Pipeline, stage.Wish.Pipeline.Stages.FirstOrDefault(s => s.Name == stage.Id.Stage));
        if (spec?.Recipe is not StageRecipe.Pretraining recipe || StageForecasts.Of(pipeline, spec).LastStep is not { } full)
        {
            return sample.StepSeconds * steps;
        }

        double batchTokens = (double)recipe.BatchSize.To * recipe.SequenceLength, fixedSeconds = full.BubbleSeconds + full.OptimizerSeconds;
        double planned = (full.BusySeconds * recipe.BatchSize.At(sample.Tokens) / recipe.BatchSize.To) + fixedSeconds;
        double left = (full.BusySeconds * Math.Max(0, recipe.Tokens - sample.Tokens) / batchTokens) + (steps * fixedSeconds);
        return left * sample.StepSeconds / planned;
    }

    private static TimeSpan Span(double seconds) =>
        double.IsFinite(seconds) ? TimeSpan.FromSeconds(Math.Clamp(seconds, 0, TimeSpan.FromDays(36_500).TotalSeconds)) : TimeSpan.Zero;
}
