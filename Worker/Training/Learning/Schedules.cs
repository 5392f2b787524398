using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Training.Learning;

/// <summary>The values that change while a stage trains, as pure functions of its position.</summary>
public static class Schedules
{
    /// <summary>
    /// The learning rate in pieces (report section 4.2: warm-up, constant, cosine, two constants). A piece without an end lasts to
    /// the end of the stage, counted as the piece before it was: in tokens or in steps. After the last piece its final value holds.
    /// </summary>
    /// <param name="step">Steps done before this one.</param>
    /// <param name="tokens">Tokens trained before this step.</param>
    /// <param name="totalTokens">Of the stage, where pieces may end at tokens.</param>
    public static double LearningRateAt(LearningRate schedule, long step, long tokens, long totalSteps, long? totalTokens = null)
    {
        var value = 0.0;
        var (startStep, startTokens, inTokens) = (0L, 0L, false);
        foreach (var piece in schedule.Pieces)
        {
            // The first update of a warm-up already learns: its rate is that of the end of the step.
            long? endTokens = piece.HasUntilTokens ? piece.UntilTokens : inTokens && !piece.HasUntilStep ? totalTokens : null;
            var endStep = piece.HasUntilStep ? piece.UntilStep : totalSteps;
            var progress = endTokens is { } end
                ? Fraction(tokens - startTokens, end - startTokens)
                : Fraction(step + 1 - startStep, endStep - startStep);
            if (progress < 1)
            {
                return Blend(piece.Shape, value, piece.To, progress);
            }
            value = piece.To;
            (startStep, startTokens, inTokens) = endTokens is { } ended ? (startStep, ended, true) : (endStep, startTokens, false);
        }
        return value;
    }

    /// <summary>Sequences of the next step: linear in tokens, floored to whole micro-batches.</summary>
    public static int BatchAt(BatchSize ramp, long tokens)
    {
        var size = tokens < ramp.OverTokens
            ? ramp.From + (int)Math.Floor((ramp.To - ramp.From) * (double)tokens / ramp.OverTokens)
            : ramp.To;
        var micro = Math.Max(1, ramp.Micro);
        return Math.Max(micro, size - (size % micro));
    }

    public static double MilestoneAt(Milestone? milestone, long tokens) =>
        milestone is null ? 0 : tokens < milestone.AtTokens ? milestone.Before : milestone.After;

    private static double Fraction(long done, long length) => length <= 0 ? 1 : Math.Max(0, (double)done / length);

    private static double Blend(string shape, double from, double to, double progress) => shape switch
    {
        "linear" => from + ((to - from) * progress),
        "constant" => to,
        "cosine" => to + ((from - to) * (1 + Math.Cos(Math.PI * progress)) / 2),
        _ => throw new InvalidDataException($"There is no learning rate shape '{shape}'. Use linear, constant or cosine."),
    };
}
