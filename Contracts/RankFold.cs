using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.Contracts;

/// <summary>Ranks that are in the same state, told as one.</summary>
public sealed record RankGroup(string State, int Ranks, int Nodes);

/// <summary>
/// The ranks of a stage as a person can take them in: few are shown one by one; of thousands those that are not as most are, and the rest
/// by their state.
/// </summary>
/// <param name="Shown">One by one, odd ones of many or all of few.</param>
/// <param name="Folded">All others, the largest group first.</param>
public sealed record RankFold(IReadOnlyList<Rank> Shown, IReadOnlyList<RankGroup> Folded)
{
    /// <summary>Two nodes of eight: what fits beside the curves without scrolling.</summary>
    public const int InFull = 16;

    /// <summary>Four nodes of eight. Where more are odd, their state is the news and not their number.</summary>
    public const int OddShown = 32;

    public static RankFold Of(IReadOnlyList<Rank> ranks)
    {
        if (ranks.Count <= InFull)
        {
            return new RankFold(ranks, []);
        }

        string usual = ranks.CountBy(r => r.State).MaxBy(s => s.Value).Key;
        Rank[] shown = [.. ranks.Where(r => r.State != usual).Take(OddShown)];
        var apart = shown.ToHashSet();
        var folded = ranks.Where(r => !apart.Contains(r)).GroupBy(r => r.State)
            .Select(s => new RankGroup(s.Key, s.Count(), s.Select(r => r.Node).Distinct().Count()));
        return new RankFold(shown, [.. folded.OrderByDescending(g => g.Ranks)]);
    }
}
