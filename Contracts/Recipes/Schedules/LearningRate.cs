using System.Collections.Immutable;
using System.Diagnostics;
using System.Text.Json.Serialization;

namespace DeepSeekOps.Recipes.Schedules;

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

    internal double Blend(double from, double progress) => Shape switch
    {
        CurveShape.Linear => from + ((To - from) * progress),
        CurveShape.Constant => To,
        CurveShape.Cosine => To + ((from - To) * (1 + Math.Cos(Math.PI * progress)) / 2),
        _ => throw new UnreachableException($"shape {Shape}"),
    };
}

/// <summary>The learning rate of a stage in pieces (report section 4.2: warm-up, constant, cosine, two constants).</summary>
public sealed record LearningRate(ImmutableArray<LearningRatePiece> Pieces)
{
    /// <summary>True where the stage has one rate from beginning to end.</summary>
    [JsonIgnore]
    public bool IsConstant => Pieces is [{ Shape: CurveShape.Constant, UntilTokens: null, UntilStep: null }];

    public static LearningRate Constant(double value) => new([new LearningRatePiece(CurveShape.Constant, value, null, null)]);

    /// <summary>
    /// The rate of the next step. A piece without an end lasts to the end of the stage, counted as the piece before it was: in tokens or
    /// in steps. After the last piece its final value holds.
    /// </summary>
    /// <param name="step">Steps done before this one.</param>
    /// <param name="tokens">Tokens trained before this step.</param>
    /// <param name="totalTokens">Of the stage, where pieces may end at tokens.</param>
    public double At(long step, long tokens, long totalSteps, long? totalTokens = null)
    {
        double value = 0;
        (long startStep, long startTokens, bool inTokens) = (0, 0, false);
        foreach (var piece in Pieces)
        {
            // The first update of a warm-up already learns: its rate is that of the end of the step.
            long? endTokens = piece.UntilTokens ?? (inTokens && piece.UntilStep is null ? totalTokens : null);
            long endStep = piece.UntilStep ?? totalSteps;
            double progress = endTokens is { } end
                ? Fraction(tokens - startTokens, end - startTokens)
                : Fraction(step + 1 - startStep, endStep - startStep);
            if (progress < 1)
            {
                return piece.Blend(value, progress);
            }

            value = piece.To;
            (startStep, startTokens, inTokens) = endTokens is { } ended ? (startStep, ended, true) : (endStep, startTokens, false);
        }

        return value;
    }

    private static double Fraction(long done, long length) => length <= 0 ? 1 : Math.Max(0, (double)done / length);
}
