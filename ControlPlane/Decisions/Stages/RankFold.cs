using System.Collections.Immutable;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>Ranks that are in the same state, told as one.</summary>
public sealed record RankGroup(RankState State, int Ranks, int Nodes);

/// <summary>
/// The ranks of a stage as a person can take them in, and as a view of each second can carry them: few are told one by one; of thousands
/// those that are not as most are, and the rest by their state.
/// </summary>
/// <param name="Shown">One by one, odd ones of many or all of few.</param>
/// <param name="Folded">All others, the largest group first.</param>
public sealed record RankFold(ImmutableArray<RankView> Shown, ImmutableArray<RankGroup> Folded)
{
    /// <summary>Two nodes of eight: what fits beside the curves without scrolling.</summary>
    public const int InFull = 16;

    /// <summary>
    /// As many. Where more are odd, their state is the news and not their number; and a view of each half second stays below 2.5 kB.
    /// </summary>
    public const int OddShown = InFull;

    public static RankFold Of(ImmutableArray<RankView> ranks)
    {
        if (ranks.Length <= InFull)
        {
            return new RankFold(ranks, []);
        }

        var usual = ranks.CountBy(r => r.State).MaxBy(s => s.Value).Key;
        ImmutableArray<RankView> shown = [.. ranks.Where(r => r.State != usual).Take(OddShown)];
        var apart = shown.Select(r => r.Rank).ToHashSet();
        var folded = ranks.Where(r => !apart.Contains(r.Rank)).GroupBy(r => r.State)
            .Select(s => new RankGroup(s.Key, s.Count(), s.Select(r => r.Node).Distinct().Count()));
        return new RankFold(shown, [.. folded.OrderByDescending(g => g.Ranks)]);
    }
}
