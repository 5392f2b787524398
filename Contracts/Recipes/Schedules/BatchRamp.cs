namespace DeepSeekOps.Recipes.Schedules;

/// <summary>Sequences per optimizer step, rising linearly in tokens. The report gives both ends and the tokens, not the shape.</summary>
public sealed record BatchRamp
{
    public int From { get; init; } = 1;

    public int To { get; init; } = 1;

    /// <summary>Tokens after which it has reached its end; 0: there from the beginning.</summary>
    public long OverTokens { get; init; }

    /// <summary>The same as a share of the stage, where it was written so.</summary>
    public decimal? OverPercent { get; init; }

    /// <summary>Sequences of one forward and backward; gradients add up over the rest. 0: the whole batch at once.</summary>
    public int Micro { get; init; }

    public static BatchRamp Constant(int size) => new() { From = size, To = size };

    /// <summary>The batch of the step that begins after so many tokens; whole micro-batches.</summary>
    public int At(long tokens)
    {
        long size = tokens >= OverTokens ? To : From + (long)((To - From) * (Int128)tokens / OverTokens);
        return (int)(Micro > 1 ? Math.Max(size - (size % Micro), Micro) : size);
    }
}
