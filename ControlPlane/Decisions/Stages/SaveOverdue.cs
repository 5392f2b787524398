using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>Whether steps are made that no checkpoint keeps, as when the disk is full.</summary>
internal static class SaveOverdue
{
    /// <summary>A save may still be on its way to the disk when the next one is due; two that are missed have failed.</summary>
    private const int IntervalsMissed = 2;

    /// <summary>What to say of it; null where checkpoints become durable as they should.</summary>
    public static string? Of(Stage stage, Observation seen)
    {
        if (stage.Phase is not Phase.Running || seen.Latest is not { } sample || sample.Attempt != stage.Attempt)
        {
            return null;
        }

        var pipeline = stage.Wish.Pipeline;
        var spec = pipeline.Stages.FirstOrDefault(s => s.Name == stage.Id.Stage);
        long every = (spec is null ? pipeline.Checkpoints : pipeline.CheckpointsOf(spec)).EverySteps;
        long newest = CheckpointChoice.Newest(stage.Checkpoints)?.Made.Step ?? 0;
        long ago = sample.Step - newest;
        return ago <= IntervalsMissed * every ? null
            : (newest == 0 ? "no checkpoint has become durable yet" : $"last durable checkpoint: step {newest}, {ago} steps ago")
            + $" (one is due every {every}): saves fail or take too long, the timeline says which and what to do";
    }
}
