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

    private const string Steady = "simulated";
    private const string Rollout = "rollout";

    private readonly PipelineSpec pipeline;
    private readonly StageSpec stage;
    private readonly StageForecast forecast;
    private readonly StageCourse? course;
    private readonly string doing;
    private readonly long pretrained;
    private readonly double parameters;

    public SimulatedWork(PipelineSpec pipeline, string name)
    {
        this.pipeline = pipeline;
        stage = pipeline.Stage(name);
        Steps = stage.Recipe.Length().Steps;
        course = StageCourse.Of(pipeline, name);
        doing = stage.Recipe.Match(_ => Steady, _ => Steady, _ => Steady, _ => Rollout, _ => Steady);
        pretrained = pipeline.Stages.Select(s => s.Recipe).OfType<StageRecipe.Pretraining>().Sum(p => p.Tokens);
        forecast = PipelineForecast.Of(pipeline).Stages.First(s => s.Name == name);
        parameters = ParameterCount.Of(pipeline.ShapeAfter(stage)).Total;
    }

    public long Steps { get; }

    public int CheckpointEvery => Math.Max(1, pipeline.CheckpointsOf(stage).EverySteps);

    public long CheckpointBytes => (long)forecast.CheckpointBytes;

    public TimeSpan CheckpointLag => TimeSpan.FromSeconds(forecast.CheckpointSeconds);

    public TimeSpan CheckpointStall => TimeSpan.FromSeconds((forecast.Memory?.Optimizer ?? 0) / Calibration.HostCopyBytesPerSecond);

    /// <param name="step">Counts from 1.</param>
    public double StepSeconds(long step, long tokensBefore, Random random) =>
        (course is { InSeconds: true } ? course.StepAt(step, tokensBefore) : UnknownStepSeconds) * StepNoise.Measured.Draw(random);

    public long TokensAfter(long step, long tokensBefore) => stage.Recipe.TokensAfter(step, tokensBefore);

    /// <summary>Tokens that have been trained when a step ends.</summary>
    public long TokensAt(long step) => stage.Recipe.TokensAt(step);

    /// <summary>
    /// A step that is made again has the loss that it had, as on real ranks: an incident holds both against each other, and tells a
    /// person where they differ.
    /// </summary>
    public StepSample Sample(long step, long tokens, double seconds, int attempt, DateTimeOffset at)
    {
        // Seeds beside each other begin alike, so steps are spread over all of them (Knuth's multiplicative hash).
        var random = new Random((int)(unchecked((ulong)((pipeline.Seed * Steps) + step) * 0x9E37_79B9_7F4A_7C15) >> 33));
        double progress = (double)step / Steps;
        var extra = ImmutableDictionary<string, double>.Empty;
        if (doing == Rollout)
        {
            extra = extra.Add("reward", Math.Clamp(0.45 + (0.35 * progress) + (0.03 * StepNoise.Normal(random)), 0, 1));
        }

        return new StepSample(step, at, doing, Loss(tokens, progress) * (1 + (LossNoise * StepNoise.Normal(random))),
            Math.Abs(0.25 + (0.5 * Math.Exp(-200 * progress)) + (0.02 * StepNoise.Normal(random))),
            stage.Recipe.LearningRateAt(step - 1, tokens), tokens, seconds, attempt, extra);
    }

    /// <summary>
    /// Pretraining and context extension: the law of Hoffmann et al. (arXiv 2203.15556, approach 3), never above that of a uniform
    /// guess. The other stages fall from 1.4 to 0.9: a shape, not a prediction.
    /// </summary>
    private double Loss(long tokens, double progress)
    {
        return stage.Recipe.Match(
            _ => Math.Min(Math.Log(pipeline.Model.VocabSize), Law(tokens)), _ => Law(pretrained + tokens),
            _ => Falling(), _ => Falling(), _ => Falling());

        double Falling() => 0.9 + (0.5 * Math.Exp(-4 * progress));
    }

    private double Law(double tokens) => 1.69 + (406.4 / Math.Pow(parameters, 0.34)) + (410.7 / Math.Pow(Math.Max(1, tokens), 0.28));
}
