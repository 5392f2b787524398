using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Decisions.Recipes;

/// <summary>Steps after each other that cost the same for the same tokens.</summary>
/// <param name="Tokens">Of all its steps, as a plan reckons them.</param>
/// <param name="StepTokens">Of a step with its full batch.</param>
/// <param name="Attends">How many tokens one attends to, itself and before it.</param>
/// <param name="ChunkTokens">Of one micro-batch on one rank.</param>
/// <param name="ContextParallel">Ranks that share one sequence.</param>
public sealed record StageSegment(long Steps, double Tokens, double StepTokens, int Attends, double ChunkTokens, int ContextParallel = 1)
{
    /// <summary>Where the batch grows, and then there is no other segment: its sequences by tokens, and the tokens of each.</summary>
    public (BatchRamp Batch, int SequenceLength)? Ramp { get; init; }

    /// <summary>Of the step that begins after so many tokens of the stage.</summary>
    public double TokensOfStep(long trained) => Ramp is var (batch, length) ? (double)batch.At(trained) * length : StepTokens;

    /// <summary>That are still to come in so many steps. Of a ramp it is known by tokens, since its steps differ.</summary>
    public double TokensLeft(long steps, long trained) => Ramp is null ? steps * StepTokens : Math.Max(0, Tokens - trained);
}

/// <summary>Outputs that a model is asked for while a stage trains.</summary>
/// <param name="Rounds">Times that training waits for the last output of a round; 0: it never waits, what counts is the throughput.</param>
public sealed record SampledOutputs(double Outputs, double MeanTokens, long Rounds)
{
    public static SampledOutputs None { get; } = new(0, 0, 0);
}
