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

    /// <summary>Sizes on its way are multiples of so many sequences, so that the ranks that share them have as many. 0: any size.</summary>
    public int MultipleOf { get; init; }

    /// <summary>
    /// As files before wrote it: a multiple, and at once the sequences of one forward pass where the layout says nothing of them.
    /// </summary>
    public int Micro { get; init; }

    public static BatchRamp Constant(int size) => new() { From = size, To = size };

    /// <summary>What its sizes are multiples of; 1: any size.</summary>
    public int Grain() => Math.Max(1, MultipleOf > 0 ? MultipleOf : Micro);

    /// <summary>The batch of the step that begins after so many tokens.</summary>
    public int At(long tokens)
    {
        long size = tokens >= OverTokens ? To : From + (long)((To - From) * (Int128)tokens / OverTokens);
        return (int)Math.Max(size - (size % Grain()), Grain());
    }
}
