using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Throughput;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>What a stage will take. Times are null where the pipeline names no GPU to reckon with.</summary>
/// <param name="Tokens">Trained; for packed and generated sequences by the calibrated mean length.</param>
/// <param name="FlopsPerToken">Matrix products with gate and MTP; of the longest context phase.</param>
/// <param name="LastStep">The step at the end of the stage, when the batch has its full size.</param>
public sealed record StageForecast(
    string Name, string Kind, int Nodes, int Gpus, long Steps, double Tokens, double FlopsPerToken, StepForecast? LastStep,
    MemoryForecast? Memory, double CheckpointBytes, double CheckpointSeconds, TimeSpan? Duration, FailureForecast? Failures,
    double? DollarsPerGpuHour)
{
    /// <summary>Over the whole stage, against the BF16 peak. Null where there is no GPU to reckon with.</summary>
    public double? Mfu { get; init; }

    /// <summary>A full step of each segment of the stage: of a context extension, of each phase. Empty where no GPU is named.</summary>
    internal ImmutableArray<StepForecast> SegmentSteps { get; init; } = [];

    /// <summary>Part of the duration in which outputs are sampled.</summary>
    internal double SamplingSeconds { get; init; }

    /// <summary>Of one step of each phase, where there are several. Empty otherwise, and where no GPU is named.</summary>
    public ImmutableArray<double> PhaseSeconds => SegmentSteps.Length > 1 ? [.. SegmentSteps.Select(s => s.Seconds)] : [];

    public double? TokensPerDay => Tokens / Days;

    public double? Days => Duration?.TotalDays;

    public double? GpuHours => Duration?.TotalHours * Gpus;

    public double? Dollars => GpuHours * DollarsPerGpuHour;

    public double? DaysPerTrillionTokens => Days / Tokens * 1e12;

    public double? GpuHoursPerTrillionTokens => GpuHours / Tokens * 1e12;
}

/// <summary>What a pipeline will take, before anything of it runs.</summary>
/// <param name="Calibrated">Inputs that were measured or assumed and not reckoned, with the stated error.</param>
public sealed record PipelineForecast(
    string Name, long Parameters, long ActiveParameters, ImmutableArray<StageForecast> Stages, ImmutableArray<string> Calibrated,
    ImmutableArray<string> Warnings)
{
    public double? Days => this.Stages.All(s => s.Days is not null) ? this.Stages.Sum(s => s.Days) : null;

    public double? GpuHours => Days is null ? null : this.Stages.Sum(s => s.GpuHours);

    public double? Dollars => Days is null ? null : this.Stages.Sum(s => s.Dollars);

    public static PipelineForecast Of(PipelineSpec spec)
    {
        var count = ParameterCount.Of(spec.Model);
        ImmutableArray<StageForecast> stages = [.. spec.Stages.Select(stage => StageForecasts.Of(spec, stage))];
        return new PipelineForecast(
            spec.Name, count.Total, count.Active, stages, CalibrationWords.Of(spec),
            [.. spec.Stages.SelectMany((stage, i) => PlanWarnings.Of(spec, stage, stages[i]))]);
    }
}
