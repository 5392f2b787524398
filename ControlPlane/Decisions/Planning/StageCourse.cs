using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Throughput;
using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>
/// What the steps of a stage cost beside each other, by the plan: a batch ramp makes later steps longer, a longer context too. In seconds
/// where the pipeline names a GPU, otherwise in floating point operations, which only a measured step turns into time.
/// </summary>
/// <param name="Steps">Of the whole stage.</param>
/// <param name="Error">The plan's stated error of <paramref name="Whole"/>; of operations, what sampling and waiting may add.</param>
/// <param name="Availability">Share of the time that counts, with the failures that the plan expects; 1: none are reckoned.</param>
public sealed record StageCourse(long Steps, bool InSeconds, double Whole, double Error, double Availability)
{
    /// <summary>A plan in operations knows nothing of waiting, generation or a slow disk.</summary>
    private const double OperationsError = 0.5;

    private static readonly ConditionalWeakTable<PipelineSpec, ImmutableDictionary<string, StageCourse>> Known = [];

    private ImmutableArray<Piece> Pieces { get; init; } = [];

    private long[] PieceSteps { get; init; } = [];

    /// <summary>Reckoned once for a pipeline: views ask for it twice a second. Null: it has no such stage, or none with a step.</summary>
    public static StageCourse? Of(PipelineSpec pipeline, string stage) => Known.GetValue(pipeline, static spec =>
            spec.Stages.Where(s => s.Recipe.Length().Steps > 0).ToImmutableDictionary(s => s.Name, s => Of(spec, s)))
        .GetValueOrDefault(stage);

    /// <summary>Of one step, when so many tokens have been trained.</summary>
    public double StepAt(long step, long tokens)
    {
        var piece = Pieces[StageLength.PhaseAt(PieceSteps, Math.Max(0, step - 1)).Phase];
        return (piece.Of.TokensOfStep(tokens) * piece.TokenCost) + piece.StepCost;
    }

    /// <summary>Of the steps after this one.</summary>
    public double After(long step, long tokens)
    {
        double cost = 0;
        long left = Math.Max(0, Steps - step);
        foreach (var piece in Pieces.Reverse())
        {
            long here = Math.Min(left, piece.Of.Steps);
            cost += (piece.Of.TokensLeft(here, tokens) * piece.TokenCost) + (here * piece.StepCost);
            left -= here;
        }

        return cost;
    }

    private static StageCourse Of(PipelineSpec pipeline, StageSpec stage)
    {
        var forecast = StageForecasts.Of(pipeline, stage);
        var segments = stage.Recipe.Segments(pipeline.ParallelismOf(stage), pipeline.ResourcesOf(stage).Ranks);
        bool inSeconds = !forecast.SegmentSteps.IsEmpty;
        double sampling = forecast.SamplingSeconds / forecast.Steps;
        ImmutableArray<Piece> pieces = inSeconds
            ? [.. segments.Zip(forecast.SegmentSteps, (segment, step) => new Piece(
                segment, step.BusySeconds / segment.StepTokens, step.BubbleSeconds + step.OptimizerSeconds + sampling))]
            : [.. segments.Select(segment => new Piece(segment, TokenFlops.Of(pipeline.ShapeAfter(stage), segment.Attends).Training, 0))];
        double whole = pieces.Sum(p => (p.Of.Tokens * p.TokenCost) + (p.Of.Steps * p.StepCost));
        return new StageCourse(forecast.Steps, inSeconds, whole, inSeconds ? stage.Recipe.StatedError : OperationsError,
            Math.Clamp(forecast.Failures?.Ettr ?? 1, 0.1, 1))
        {
            Pieces = pieces, PieceSteps = [.. segments.Select(s => s.Steps)],
        };
    }

    /// <param name="TokenCost">Of a token in a pass.</param>
    /// <param name="StepCost">Of a step beside its passes.</param>
    private sealed record Piece(StageSegment Of, double TokenCost, double StepCost);
}
