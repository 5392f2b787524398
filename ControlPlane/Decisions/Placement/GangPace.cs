using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>What a gang that trains says of itself, in the cluster's own time (simulated seconds where that is simulated).</summary>
/// <param name="Remaining">At the pace of its newest step.</param>
/// <param name="SinceSaved">Training that would be lost if it ended now without saving.</param>
/// <param name="SaveTook">Its newest checkpoint, from its begin until it was durable; null: none yet.</param>
/// <param name="RestartTook">Ranks' launch until their first step, as last measured; null: not measured.</param>
public sealed record GangPace(StageId Stage, int Gang, TimeSpan? Remaining, TimeSpan SinceSaved, TimeSpan? SaveTook, TimeSpan? RestartTook);

/// <summary>A gang's newest pace, and how its predicted end has moved since it was first told: the error of the prediction, measured.</summary>
public sealed record PaceSeen(GangPace Newest, DateTimeOffset At, DateTimeOffset FirstAt, DateTimeOffset? FirstEnd, DateTimeOffset? End)
{
    /// <summary>Until a prediction has been watched this long, its error is not known.</summary>
    private static readonly TimeSpan WatchedAtLeast = TimeSpan.FromSeconds(30);

    /// <summary>Before anything was measured, and never less than a hundredth: the planner's stated error of step times.</summary>
    private const double Unmeasured = 0.1;
    private const double Least = 0.01;

    public static PaceSeen Of(PaceSeen? before, GangPace pace, DateTimeOffset now, double timeFactor)
    {
        DateTimeOffset? end = pace.Remaining is { } left && left < TimeSpan.FromDays(36_500) ? now + (left / timeFactor) : null;
        return before is null || before.Newest.Gang != pace.Gang || before.FirstEnd is null ? new PaceSeen(pace, now, now, end, end)
            : before with { Newest = pace, At = now, End = end };
    }

    /// <summary>How far the predicted end moved per time that passed.</summary>
    public double Error => FirstEnd is { } first && End is { } end && At - FirstAt >= WatchedAtLeast
        ? Math.Clamp(Math.Abs((end - first) / (At - FirstAt)), Least, 1) : Unmeasured;

    public string Basis => At - FirstAt >= WatchedAtLeast
        ? string.Create(CultureInfo.InvariantCulture, $"its measured pace, by which its end moved {Error:P0} of the {Words.Duration(At - FirstAt)} it was watched")
        : string.Create(CultureInfo.InvariantCulture, $"its measured pace, too new to have an error of its own ({Unmeasured:P0} taken)");
}

public static class Paces
{
    /// <summary>A measured end beats a planned one.</summary>
    public static ImmutableArray<GangGrant> Apply(ImmutableArray<GangGrant> held, IReadOnlyDictionary<StageId, PaceSeen> paces) => paces.Count == 0 ? held
        : [.. held.Select(h => paces.TryGetValue(h.Stage, out var pace) && pace.Newest.Gang == h.Gang && pace.End is { } end
            ? h with { ExpectedEnd = end, EndError = pace.Error, EndBasis = pace.Basis } : h)];
}
