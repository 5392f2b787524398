using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Throughput;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>
/// What the steps of a stage cost beside each other, by the plan: a batch ramp makes later steps longer, a longer context too. In seconds
/// where the pipeline names a GPU, otherwise in floating point operations, which only a measured step turns into time.
/// </summary>
/// <param name="Whole">Of the whole stage.</param>
/// <param name="Error">The plan's stated error of <paramref name="Whole"/>; of operations, what generation and idle time may add to
/// them.</param>
/// <param name="Availability">Share of the time that counts, with the failures that the plan expects; 1: none are reckoned.</param>
public sealed record StageCourse(StageRecipe Recipe, StageLength Length, bool InSeconds, double Whole, double Error, double Availability)
{
    /// <summary>A plan in operations knows nothing of waiting, generation or a slow disk.</summary>
    private const double OperationsError = 0.5;

    private static readonly ConditionalWeakTable<PipelineSpec, ImmutableDictionary<string, StageCourse>> Known = [];

    private ImmutableArray<(long Steps, double StepCost)> Phases { get; init; } = [];

    /// <summary>Of a token in a pass, and of a step beside its passes.</summary>
    private double TokenCost { get; init; }

    private double FixedCost { get; init; }

    /// <summary>Reckoned once for a pipeline: views ask for it twice a second. Null: it has no such stage, or none with a step.</summary>
    public static StageCourse? Of(PipelineSpec pipeline, string stage) => Known.GetValue(pipeline, static spec =>
            spec.Stages.Where(s => StageLength.Of(s.Recipe).Steps > 0).ToImmutableDictionary(s => s.Name, s => Of(spec, s)))
        .GetValueOrDefault(stage);

    /// <summary>Of one step, when so many tokens have been trained.</summary>
    public double StepAt(long step, long tokens) => Recipe switch
    {
        StageRecipe.Pretraining p => ((double)p.BatchSize.At(tokens) * p.SequenceLength * TokenCost) + FixedCost,
        StageRecipe.ContextExtension => PhaseAt(step),
        _ => Whole / Math.Max(1, Length.Steps),
    };

    /// <summary>Of the steps after this one.</summary>
    public double After(long step, long tokens)
    {
        long left = Math.Max(0, Length.Steps - step);
        switch (Recipe)
        {
            case StageRecipe.Pretraining p:
                return (Math.Max(0.0, p.Tokens - tokens) * TokenCost) + (left * FixedCost);
            case StageRecipe.ContextExtension:
                double cost = 0;
                foreach (var phase in Phases.Reverse())
                {
                    long ofPhase = Math.Min(left, phase.Steps);
                    (cost, left) = (cost + (ofPhase * phase.StepCost), left - ofPhase);
                }

                return cost;
            default:
                return Whole * left / Math.Max(1, Length.Steps);
        }
    }

    private double PhaseAt(long step)
    {
        long end = 0;
        foreach (var (steps, cost) in Phases)
        {
            end += steps;
            if (step <= end)
            {
                return cost;
            }
        }

        return Phases.IsEmpty ? 0 : Phases[^1].StepCost;
    }

    private static StageCourse Of(PipelineSpec pipeline, StageSpec stage)
    {
        var forecast = StageForecasts.Of(pipeline, stage);
        var length = StageLength.Of(stage.Recipe);
        bool inSeconds = forecast.LastStep is not null;
        double error = inSeconds ? Calibration.StatedError(stage.Kind) : OperationsError;
        var course = new StageCourse(stage.Recipe, length, inSeconds,
            forecast.Duration?.TotalSeconds ?? (forecast.Tokens * forecast.FlopsPerToken), error,
            Math.Clamp(forecast.Failures?.Ettr ?? 1, 0.1, 1));
        return stage.Recipe switch
        {
            StageRecipe.Pretraining p when forecast.LastStep is { } last => course with
            {
                TokenCost = last.BusySeconds / ((double)p.BatchSize.To * p.SequenceLength),
                FixedCost = last.BubbleSeconds + last.OptimizerSeconds,
            },
            StageRecipe.Pretraining => course with { TokenCost = forecast.FlopsPerToken },
            StageRecipe.ContextExtension c => course.WithPhases(forecast, [.. c.Phases.Select(phase => (
                phase.Steps,
                (double)phase.BatchSize * phase.SequenceLength * TokenFlops.Of(pipeline.ShapeAfter(stage),
                    phase.SequenceLength).Training))]),
            _ => course,
        };
    }

    /// <summary>Phases by the plan's own time of each, or by their operations.</summary>
    private StageCourse WithPhases(StageForecast forecast, ImmutableArray<(long Steps, double StepCost)> operations)
    {
        var phases = forecast.PhaseSeconds.IsEmpty ? operations
            : [.. operations.Zip(forecast.PhaseSeconds, (phase, seconds) => (phase.Steps, seconds))];
        return this with { Phases = phases, Whole = phases.Sum(phase => phase.Steps * phase.StepCost) };
    }
}
