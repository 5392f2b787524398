namespace DeepSeekOps.Recipes.Schedules;

/// <summary>How long a stage is, known before it begins. Counted here for whoever plans it and for the rank that trains it.</summary>
/// <param name="Steps">Optimizer steps.</param>
/// <param name="Tokens">Tokens that go through the model; for packed and generated sequences the most that can.</param>
public readonly record struct StageLength(long Steps, long Tokens)
{
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

    /// <summary>Tokens that have been trained when so many steps are done.</summary>
    public static long TokensAt(long steps, int sequenceLength, BatchRamp batch)
    {
        long tokens = 0, done = 0;
        for (; done < steps && tokens < batch.OverTokens; done++)
        {
            tokens += (long)batch.At(tokens) * sequenceLength;
        }

        return tokens + ((steps - done) * batch.At(tokens) * sequenceLength);
    }

    /// <summary>Of packed examples, each learnt so many times; the last step of an epoch takes what is left.</summary>
    public static StageLength OfEpochs(int examples, int epochs, int batch, int sequenceLength) =>
        new(epochs * StepsPerEpoch(examples, batch), (long)epochs * examples * sequenceLength);

    public static long StepsPerEpoch(int examples, int batch) => ((long)examples + batch - 1) / batch;

    /// <summary>Which of several phases a step belongs to, and how many steps of that phase were done before it.</summary>
    /// <param name="phases">Steps of each; the last one has whatever comes after it too.</param>
    /// <param name="before">Steps of the stage that were done before this one.</param>
    public static (int Phase, long Within) PhaseAt(IReadOnlyList<long> phases, long before)
    {
        (int phase, long within) = (0, before);
        while (phase < phases.Count - 1 && within >= phases[phase])
        {
            within -= phases[phase++];
        }

        return (phase, within);
    }
}
