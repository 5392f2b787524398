using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>How fast a stage trains and saves, from the plan's forecast.</summary>
/// <param name="StepSeconds">The stage's mean: a batch ramp is spread over all steps.</param>
/// <param name="CheckpointEvery">Steps between two checkpoints.</param>
/// <param name="StallSeconds">Training waits this long for a save.</param>
/// <param name="DurableSeconds">From the start of a save until it is durable.</param>
public sealed record StageTiming(double StepSeconds, int CheckpointEvery, double StallSeconds, double DurableSeconds,
    double CheckpointBytes, double TokensPerStep)
{
    /// <summary>
    /// What a gang that stays where it is takes until it trains again. Null: as long as one that starts (launchers that end all processes).
    /// </summary>
    public RecoveryBudget? InPlace { get; init; }

    /// <summary>Its agents hold the states of the newest step, which a gang that stays where it is goes on from.</summary>
    public bool InMemory { get; init; }

    /// <summary>
    /// The stated curve of a simulated loss, by tokens of the stage: Hoffmann et al. 2022 (arXiv 2203.15556, equation 10 and approach 3).
    /// </summary>
    public static double LossAt(double activeParameters, double tokens) =>
        1.69 + (406.4 / Math.Pow(activeParameters, 0.34)) + (410.7 / Math.Pow(Math.Max(tokens, 1), 0.28));

    /// <summary>Null where the pipeline names no GPU that a step could be reckoned for.</summary>
    public static StageTiming? Of(PipelineSpec pipeline, StageSpec stage, StageForecast forecast) =>
        forecast is { Duration: { } duration, Memory: { } memory }
            ? new StageTiming(duration.TotalSeconds / forecast.Steps, pipeline.CheckpointsOf(stage).EverySteps,
                memory.Optimizer / Calibration.HostCopyBytesPerSecond, forecast.CheckpointSeconds, forecast.CheckpointBytes,
                forecast.Tokens / forecast.Steps)
            {
                InPlace = RecoveryBudget.Of(pipeline.ResourcesOf(stage).Ranks, memory.Optimizer),
                InMemory = pipeline.ResourcesOf(stage).Ranks > 1 && pipeline.CheckpointsOf(stage).InMemoryEvery != 0,
            }
            : null;
}

/// <summary>How long the cluster takes for what is not training. Uniform draws between two ends, in seconds.</summary>
/// <param name="PodStart">From the creation of a pod until its agent speaks; the image is on the node.</param>
/// <param name="Load">Spawn, device and collectives, beside reading the checkpoint.</param>
/// <param name="EndPod">From the order until nothing of the pod runs.</param>
/// <param name="NotReadyAfter">Until the cluster says that a node is gone (Kubernetes: node-monitor-grace-period).</param>
public sealed record ClusterTiming(
    (double From, double To) PodStart, (double From, double To) Load, double EndPod, double NotReadyAfter, TimeSpan Repair,
    StepNoise StepNoise)
{
    /// <inheritdoc cref="Placement.ClusterSnapshot.DealsUnevenly"/>
    public bool DealsUnevenly { get; init; } = true;

    /// <summary>
    /// 50 s is Kubernetes' default since 1.32. Pod start and load are assumed; the plan's five minutes from failure to first step are
    /// longer.
    /// </summary>
    public static ClusterTiming Default { get; } =
        new(PodStart: (10, 30), Load: (60, 120), EndPod: 5, NotReadyAfter: 50, Calibration.Repair, StepNoise.Measured);
}
