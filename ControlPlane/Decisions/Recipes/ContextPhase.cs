using System.Text.Json.Serialization;
using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Decisions.Recipes;

/// <summary>YaRN as applied to the decoupled shared key (report section 4.3).</summary>
public sealed record Yarn
{
    /// <summary>By how much positions are stretched.</summary>
    public double Factor { get; init; } = 40;

    /// <summary>Longest sequence before it.</summary>
    public int OriginalLength { get; init; } = 4096;

    public double BetaFast { get; init; } = 32;

    public double BetaSlow { get; init; } = 1;

    public double Mscale { get; init; } = 1;

    public double MscaleAllDim { get; init; } = 1;
}

/// <summary>A length to which the context is extended.</summary>
public sealed record ContextPhase
{
    public string Name { get; init; } = "";

    public int SequenceLength { get; init; }

    public long Steps { get; init; }

    public int BatchSize { get; init; }

    public LearningRate LearningRate { get; init; } = LearningRate.Constant(0);

    public Yarn? Yarn { get; init; }

    [JsonIgnore]
    public long StepTokens => (long)BatchSize * SequenceLength;

    /// <summary>Ranks that share one sequence. Takes its ranks from data parallelism.</summary>
    public int ContextParallel { get; init; } = 1;
}
