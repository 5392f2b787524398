using System.Diagnostics;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>How long a stage is, known before it begins.</summary>
/// <param name="Steps">Optimizer steps.</param>
/// <param name="Tokens">Tokens that go through the model; for packed and generated sequences the most that can.</param>
public readonly record struct StageLength(long Steps, long Tokens)
{
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
