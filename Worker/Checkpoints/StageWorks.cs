using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>
/// What is asked of a kind of stage before its work is there. A test compares this with the wire and with what the control plane says of
/// the same kinds, so that a new one is missed nowhere.
/// </summary>
/// <param name="ReplicasAreAlike">Replicas hold the same: nothing is of one rank alone, as rollouts are.</param>
/// <param name="Second">The checkpoint that the learning weights begin with, where they do not begin with the plan's first one.</param>
internal sealed record StageWorks(bool ReplicasAreAlike, Func<TrainingPlan, CheckpointRef?>? Second = null)
{
    internal static IReadOnlyDictionary<TrainingPlan.WorkOneofCase, StageWorks> All { get; } =
        new Dictionary<TrainingPlan.WorkOneofCase, StageWorks>
        {
            [TrainingPlan.WorkOneofCase.Pretraining] = new(ReplicasAreAlike: true),
            [TrainingPlan.WorkOneofCase.ContextExtension] = new(ReplicasAreAlike: true),
            [TrainingPlan.WorkOneofCase.Sft] = new(ReplicasAreAlike: false),
            [TrainingPlan.WorkOneofCase.Rl] = new(ReplicasAreAlike: false),
            [TrainingPlan.WorkOneofCase.Distillation] = new(ReplicasAreAlike: false, plan => plan.Distillation.StudentFrom),
        };

    private static readonly StageWorks Unknown = new(ReplicasAreAlike: false);

    /// <summary>Of a kind that this worker does not know nothing is taken for granted; its launch ends in words.</summary>
    public static StageWorks Of(TrainingPlan plan) => All.GetValueOrDefault(plan.WorkCase, Unknown);

    /// <summary>What the weights that learn begin with; null: random ones.</summary>
    public static CheckpointRef? LearnerFrom(TrainingPlan plan) => Of(plan).Second is { } second ? second(plan) : plan.BeginFrom;

    /// <summary>All that the stage begins from.</summary>
    public static IEnumerable<CheckpointRef> Beginnings(TrainingPlan plan) =>
        new[] { plan.BeginFrom, Of(plan).Second?.Invoke(plan) }.OfType<CheckpointRef>();
}
