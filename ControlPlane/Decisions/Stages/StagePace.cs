using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>What a stage that trains tells placement of its pace.</summary>
public static class StagePace
{
    /// <summary>Null: nothing is measured, since it does not train, and nobody has ever held it.</summary>
    public static GangPace? Of(Stage stage, Observation seen)
    {
        string hold = StageHolding.Of(stage, seen.Now.At)?.InWords ?? "";
        return Measured(stage, seen) is { } pace ? pace with { Hold = hold }
            : stage.Wish.Held is not null && stage.Phase.GangOrNull is { } gang
                ? new GangPace(gang.Id, null, TimeSpan.Zero, null, null) { Hold = hold } : null;
    }

    private static GangPace? Measured(Stage stage, Observation seen)
    {
        if (stage.Phase is not Phase.Running { Gang: var gang } || (seen.Latest ?? stage.Latest) is not { } sample
            || sample.Attempt != stage.Attempt)
        {
            return null;
        }

        var newest = CheckpointChoice.Newest(stage.Checkpoints)?.Made;
        long unsaved = Math.Max(0, sample.Step - Math.Max(newest?.Step ?? 0, 0));
        var launch = seen.LaunchOf(gang);
        return new GangPace(gang.Id, StageOutlook.Of(stage, seen)?.Likely, StageOutlook.Span(sample.StepSeconds * unsaved),
            newest is null ? null : newest.Stall + newest.Lag, launch.IsEmpty ? null : StageOutlook.Span(launch.Values.Sum()));
    }
}
