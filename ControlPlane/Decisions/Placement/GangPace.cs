using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>What a gang that trains says of itself, in the cluster's own time (simulated seconds where that is simulated).</summary>
/// <param name="Remaining">By its stage's forecast; null: no step is measured.</param>
/// <param name="SinceSaved">Training that would be lost if it ended now without saving.</param>
/// <param name="SaveTook">Its newest checkpoint, from its begin until it was durable; null: none yet.</param>
/// <param name="RestartTook">Ranks' launch until their first step, as last measured; null: not measured.</param>
public sealed record GangPace(GangId Gang, TimeSpan? Remaining, TimeSpan SinceSaved, TimeSpan? SaveTook, TimeSpan? RestartTook)
{
    /// <summary>As <see cref="GangGrant.Hold"/>.</summary>
    public string Hold { get; init; } = "";
}

/// <summary>
/// A gang's newest pace, with the mean of its predicted ends and how they scatter: the error of the prediction, measured.
/// </summary>
/// <param name="End">Mean of the predicted ends, newer ones counting more.</param>
/// <param name="Variance">Of the predicted ends, in square seconds.</param>
public sealed record PaceSeen(GangPace Newest, DateTimeOffset At, DateTimeOffset? End, double Variance, int Predictions)
{
    /// <summary>Share of the newest prediction in the mean: about the last ten count.</summary>
    private const double Newer = 0.1;

    /// <summary>
    /// Fewer predictions have no scatter of their own: a tenth is taken instead. Never less than a hundredth, the planner's stated error of
    /// a step.
    /// </summary>
    private const int PredictionsAtLeast = 6;
    private const double Unmeasured = 0.1;
    private const double Least = 0.01;

    public static PaceSeen Of(PaceSeen? before, GangPace pace, DateTimeOffset now, double timeFactor)
    {
        DateTimeOffset? end = pace.Remaining is { } left && left < TimeSpan.FromDays(3_650) ? now + (left / timeFactor) : null;
        if (before?.End is not { } mean || end is not { } predicted || before.Newest.Gang != pace.Gang)
        {
            return new PaceSeen(pace, now, end, 0, 1);
        }

        var off = predicted - mean;
        return new PaceSeen(pace, now, mean + (off * Newer),
            (1 - Newer) * (before.Variance + (Newer * off.TotalSeconds * off.TotalSeconds)), before.Predictions + 1);
    }

    /// <summary>Scatter of the predicted ends over the time that is left.</summary>
    public double Error => Predictions < PredictionsAtLeast || End is not { } end ? Unmeasured
        : Math.Clamp(Math.Sqrt(Variance) / Math.Max(1, (end - At).TotalSeconds), Least, 1);

    public string Basis => Predictions < PredictionsAtLeast
        ? string.Create(CultureInfo.InvariantCulture, $"its measured pace, too new to have a scatter of its own ({Unmeasured:P0} taken)")
        : string.Create(CultureInfo.InvariantCulture, $"its measured pace, whose predictions scatter by {Error:P0}");
}

public static class Paces
{
    /// <summary>A measured end beats a planned one; and who is held is known by what it says.</summary>
    public static ImmutableArray<GangGrant> Apply(ImmutableArray<GangGrant> held, IReadOnlyDictionary<StageId, PaceSeen> paces) =>
        paces.Count == 0 ? held
        : [.. held.Select(h => paces.TryGetValue(h.Stage, out var pace) && pace.Newest.Gang == h.Id
            ? (pace.End is { } end ? h with { ExpectedEnd = end, EndError = pace.Error, EndBasis = pace.Basis } : h) with
            {
                Hold = pace.Newest.Hold,
            }
            : h)];
}
