using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.Recipes;

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
        return (int)(Micro > 1 ? Math.Max(size - size % Micro, Micro) : size);
    }
}

/// <summary>A value that changes once, at a number of tokens.</summary>
public sealed record Milestone(double Before, double After, long AtTokens)
{
    public static Milestone Always(double value) => new(value, value, 0);

    /// <summary>The same as a share of the stage, where it was written so.</summary>
    public decimal? AtPercent { get; init; }

    public double At(long tokens) => tokens < AtTokens ? Before : After;
}

public enum CurveShape
{
    Linear = 0,
    Constant = 1,
    Cosine = 2,
}

/// <summary>A piece of the learning rate, from the last piece's end (0 at the beginning) to <paramref name="To"/>.</summary>
/// <param name="UntilTokens">Where it ends, in tokens of the stage; or</param>
/// <param name="UntilStep">in steps. Neither: it lasts to the end of the stage.</param>
public sealed record LearningRatePiece(CurveShape Shape, double To, long? UntilTokens, long? UntilStep)
{
    /// <summary>The end in tokens as a share of the stage, where it was written so.</summary>
    public decimal? UntilPercent { get; init; }
}

/// <summary>The learning rate of a stage, in pieces.</summary>
public sealed record LearningRate(ImmutableArray<LearningRatePiece> Pieces)
{
    public static LearningRate Constant(double value) => new([new LearningRatePiece(CurveShape.Constant, value, null, null)]);

    /// <summary>True where the stage has one rate from beginning to end.</summary>
    [JsonIgnore]
    public bool IsConstant => Pieces is [{ Shape: CurveShape.Constant, UntilTokens: null, UntilStep: null }];
}
