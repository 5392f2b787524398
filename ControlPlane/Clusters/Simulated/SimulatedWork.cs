using System.Collections.Immutable;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Decisions.Throughput;

namespace DeepSeekOps.ControlPlane.Clusters.Simulated;

/// <summary>
/// What a step of a stage takes and gives: time from the planner's model with the noise of a real run, loss from a stated curve. Tokens
/// of the step before are an argument, so that a resumed stage goes on where it was.
/// </summary>
internal sealed class SimulatedWork
{
    /// <summary>Of a stage without a GPU model there is no forecast.</summary>
    private const double UnknownStepSeconds = 1;

    private const double LossNoise = 0.004;

    private readonly PipelineSpec pipeline;
    private readonly StageSpec stage;
    private readonly StageForecast forecast;
    private readonly StageLength length;
    private readonly double parameters;

    public SimulatedWork(PipelineSpec pipeline, string name)
    {
        this.pipeline = pipeline;
        stage = pipeline.Stage(name);
        length = StageLength.Of(stage.Recipe);
        forecast = PipelineForecast.Of(pipeline).Stages.First(s => s.Name == name);
        parameters = ParameterCount.Of(pipeline.ShapeAfter(stage)).Total;
    }

    public long Steps => length.Steps;

    public int CheckpointEvery => Math.Max(1, pipeline.CheckpointsOf(stage).EverySteps);

    public long CheckpointBytes => (long)forecast.CheckpointBytes;

    public TimeSpan CheckpointLag => TimeSpan.FromSeconds(forecast.CheckpointSeconds);

    public TimeSpan CheckpointStall => TimeSpan.FromSeconds((forecast.Memory?.Optimizer ?? 0) / Calibration.HostCopyBytesPerSecond);

    public double StepSeconds(long tokensBefore, Random random)
    {
        double seconds = stage.Recipe is StageRecipe.Pretraining p && forecast.LastStep is { } full
            ? (full.BusySeconds * p.BatchSize.At(tokensBefore) / p.BatchSize.To) + full.BubbleSeconds + full.OptimizerSeconds
            : forecast.Duration is { } whole ? whole.TotalSeconds / Steps : UnknownStepSeconds;
        return seconds * StepNoise.Measured.Draw(random);
    }

    public long TokensAfter(long step, long tokensBefore) => stage.Recipe is StageRecipe.Pretraining p
        ? tokensBefore + ((long)p.BatchSize.At(tokensBefore) * p.SequenceLength)
        : (long)(length.Tokens * (double)step / Steps);

    /// <summary>Tokens that have been trained when a step ends; the ramp of pretraining is walked.</summary>
    public long TokensAt(long step)
    {
        if (stage.Recipe is not StageRecipe.Pretraining p)
        {
            return TokensAfter(step, 0);
        }

        long tokens = 0, done = 0;
        for (; done < step && tokens < p.BatchSize.OverTokens; done++)
        {
            tokens = TokensAfter(done + 1, tokens);
        }

        return tokens + ((step - done) * p.BatchSize.To * p.SequenceLength);
    }

    public StepSample Sample(long step, long tokens, double seconds, int attempt, DateTimeOffset at, Random random)
    {
        double progress = (double)step / Steps;
        var extra = ImmutableDictionary<string, double>.Empty;
        if (stage.Recipe is StageRecipe.ReinforcementLearning)
        {
            extra = extra.Add("reward", Math.Clamp(0.45 + (0.35 * progress) + (0.03 * Normal(random)), 0, 1));
        }

        return new StepSample(step, at, stage.Kind == "rl" ? "rollout" : "simulated",
            Loss(tokens, progress) * (1 + (LossNoise * Normal(random))),
            Math.Abs(0.25 + (0.5 * Math.Exp(-200 * progress)) + (0.02 * Normal(random))), LearningRateAt(tokens, step), tokens, seconds,
            attempt, extra);
    }

    /// <summary>
    /// Pretraining and context extension: the law of Hoffmann et al. (arXiv 2203.15556, approach 3), never above that of a uniform
    /// guess. The other stages fall from 1.4 to 0.9: a shape, not a prediction.
    /// </summary>
    private double Loss(long tokens, double progress) => stage.Recipe switch
    {
        StageRecipe.Pretraining => Math.Min(Math.Log(pipeline.Model.VocabSize), Law(tokens)),
        StageRecipe.ContextExtension =>
            Law(pipeline.Stages.Select(s => s.Recipe).OfType<StageRecipe.Pretraining>().Sum(p => p.Tokens) + tokens),
        _ => 0.9 + (0.5 * Math.Exp(-4 * progress)),
    };

    private double Law(double tokens) => 1.69 + (406.4 / Math.Pow(parameters, 0.34)) + (410.7 / Math.Pow(Math.Max(1, tokens), 0.28));

    private double LearningRateAt(long tokens, long step)
    {
        var pieces = stage.Recipe switch
        {
            StageRecipe.Pretraining p => p.LearningRate.Pieces,
            StageRecipe.SupervisedFineTuning s => s.LearningRate.Pieces,
            _ => [],
        };
        double from = 0, start = 0;
        foreach (var piece in pieces)
        {
            double end = piece.UntilTokens ?? (piece.UntilStep is { } until ? (double)until * tokens / step : length.Tokens);
            if (tokens <= end)
            {
                double share = end <= start ? 1 : (tokens - start) / (end - start);
                return piece.Shape switch
                {
                    CurveShape.Linear => from + ((piece.To - from) * share),
                    CurveShape.Cosine => piece.To + ((from - piece.To) * (1 + Math.Cos(Math.PI * share)) / 2),
                    _ => piece.To,
                };
            }

            (from, start) = (piece.To, end);
        }

        return from;
    }

    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
