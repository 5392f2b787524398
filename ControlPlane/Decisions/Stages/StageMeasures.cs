using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// What who watches many stages wants to know beside what a view says. Times are moments and not ages: a report is a tick old.
/// </summary>
/// <param name="Gpus">Ranks of its gang; 0: it has none.</param>
/// <param name="SteppedAt">When its newest step was made, by its node's clock. Null: none was.</param>
/// <param name="StepSeconds">Mean of its recent steps. Null: none was timed since the control plane began to listen.</param>
/// <param name="CheckpointAt">When its newest usable checkpoint was durable. Null: there is none.</param>
/// <param name="SilentFor">Of its gang's agents the one that was not heard for longest. Null: it has none that was heard.</param>
public sealed record StageMeasures(
    int Gpus, DateTimeOffset? SteppedAt, double? StepSeconds, DateTimeOffset? CheckpointAt, TimeSpan? SilentFor)
{
    public static StageMeasures Of(Stage stage, Observation seen)
    {
        var gang = stage.Phase.GangOrNull;
        var (seconds, steps) = seen.Times.Where(t => t.Attempt == stage.Attempt)
            .Aggregate((Seconds: 0.0, Steps: 0), (sum, time) => (sum.Seconds + time.Seconds, sum.Steps + 1));
        return new StageMeasures(
            gang?.Slots ?? 0, (seen.Latest ?? stage.Latest)?.At, steps > 0 ? seconds / steps : null,
            CheckpointChoice.Newest(stage.Checkpoints)?.Made.At,
            gang is null ? null : seen.AgentsOf(gang).Select(a => (TimeSpan?)seen.SilenceOf(a)).Max());
    }
}
