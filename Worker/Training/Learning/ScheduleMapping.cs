using DeepSeekOps.Contracts.Worker.V1;
using Counted = DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Worker.Training.Learning;

/// <summary>Schedules and lengths as the wire has them, as those that control plane and worker count by.</summary>
public static class ScheduleMapping
{
    public static Counted.LearningRate ToRecord(this LearningRate rate) => new(
        [.. rate.Pieces.Select(piece => new Counted.LearningRatePiece(
        ShapeOf(piece.Shape), piece.To, piece.HasUntilTokens ? piece.UntilTokens : null, piece.HasUntilStep ? piece.UntilStep : null))]);

    public static Counted.BatchRamp ToRecord(this BatchSize ramp) =>
        new() { From = ramp.From, To = ramp.To, OverTokens = ramp.OverTokens, Micro = ramp.Micro, MultipleOf = ramp.MultipleOf };

    /// <summary>Absent: 0 throughout.</summary>
    public static Counted.Milestone ToRecord(this Milestone? milestone) =>
        milestone is null ? Counted.Milestone.Always(0) : new(milestone.Before, milestone.After, milestone.AtTokens);

    public static Counted.StageLength Length(this Pretraining plan) =>
        Counted.StageLength.Of(plan.Tokens, plan.SequenceLength, plan.BatchSize.ToRecord());

    public static Counted.StageLength Length(this ContextExtension plan) =>
        new(plan.Phases.Sum(p => p.Steps), plan.Phases.Sum(p => p.Steps * p.BatchSize * p.SequenceLength));

    public static Counted.StageLength Length(this SupervisedFineTuning plan) =>
        Counted.StageLength.OfEpochs(plan.Instances, plan.Epochs, plan.BatchSize, plan.SequenceLength);

    public static Counted.StageLength Length(this ReinforcementLearning plan) =>
        new(plan.Steps, plan.Steps * plan.Questions * plan.GroupSize * plan.MaxNewTokens);

    public static Counted.StageLength Length(this Distillation plan) =>
        Counted.StageLength.OfEpochs(plan.Samples, plan.Epochs, plan.BatchSize, plan.SequenceLength);

    private static Counted.CurveShape ShapeOf(string shape) => shape switch
    {
        "linear" => Counted.CurveShape.Linear,
        "constant" => Counted.CurveShape.Constant,
        "cosine" => Counted.CurveShape.Cosine,
        _ => throw new InvalidDataException($"There is no learning rate shape '{shape}'. Use linear, constant or cosine."),
    };
}
