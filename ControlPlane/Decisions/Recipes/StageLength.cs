using System.Diagnostics;

namespace DeepSeekOps.Decisions.Recipes;

/// <summary>How long a stage is, known before it begins.</summary>
/// <param name="Steps">Optimizer steps.</param>
/// <param name="Tokens">Tokens that go through the model; for packed and generated sequences the most that can.</param>
public readonly record struct StageLength(long Steps, long Tokens)
{
    /// <summary>Mean tokens of an instance or an output (report section 5.4: 1510 on MATH-500 after distillation).</summary>
    public const double TokensPerInstance = 1510;

    /// <summary>
    /// Tokens that a plan reckons with, the same in every plan: those of the stage where it is told in tokens, else instances by their mean
    /// length. What a stage of instances has trained in the end is counted as it trains and is another figure.
    /// </summary>
    public static double PlannedTokens(StageRecipe recipe) => recipe switch
    {
        StageRecipe.SupervisedFineTuning s => (double)s.Instances * s.Epochs * Mean(s.SequenceLength),
        StageRecipe.ReinforcementLearning r => (double)r.Steps * r.Questions * r.GroupSize * Mean(r.MaxNewTokens),
        StageRecipe.Distillation d => (double)d.Samples * d.Epochs * Mean(d.SequenceLength),
        _ => Of(recipe).Tokens,
    };

    /// <summary>Whether the tokens of such a stage are known before it has trained them.</summary>
    public static bool IsToldInTokens(string kind) => kind is "pretraining" or "context-extension";

    public static double Mean(int longest) => Math.Min(longest, TokensPerInstance);

    public static StageLength Of(StageRecipe recipe) => recipe switch
    {
        StageRecipe.Pretraining p => Of(p.Tokens, p.SequenceLength, p.BatchSize),
        StageRecipe.ContextExtension c => new(c.Phases.Sum(p => p.Steps), c.Phases.Sum(p => p.Steps * p.BatchSize * p.SequenceLength)),
        StageRecipe.SupervisedFineTuning s => Epochs(s.Instances, s.Epochs, s.BatchSize, s.SequenceLength),
        StageRecipe.ReinforcementLearning r => new(r.Steps, r.Steps * r.Questions * r.GroupSize * r.MaxNewTokens),
        StageRecipe.Distillation d => Epochs(d.Samples, d.Epochs, d.BatchSize, d.SequenceLength),
        _ => throw new UnreachableException($"recipe {recipe}"),
    };

    /// <summary>
    /// Whole steps until the tokens are reached. The ramp is walked, since each step's batch depends on the tokens before it; it has
    /// at most OverTokens / (the smallest batch) steps, and what follows is a division.
    /// </summary>
    public static StageLength Of(long tokens, int sequenceLength, BatchRamp batch)
    {
        long steps = 0, done = 0;
        while (done < tokens && done < batch.OverTokens)
        {
            done += (long)batch.At(done) * sequenceLength;
            steps++;
        }
        if (done < tokens)
        {
            long perStep = (long)batch.At(done) * sequenceLength;
            long rest = (tokens - done + perStep - 1) / perStep;
            steps += rest;
            done += rest * perStep;
        }
        return new StageLength(steps, done);
    }

    private static StageLength Epochs(int items, int epochs, int batch, int sequenceLength) =>
        new((long)epochs * ((items + batch - 1) / batch), (long)epochs * items * sequenceLength);
}
