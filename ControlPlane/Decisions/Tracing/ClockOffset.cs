using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Tracing;

/// <summary>How far a clock is behind the one that everything is told by.</summary>
/// <param name="Nodes">Whose clock it is.</param>
/// <param name="Nanoseconds">What is added to its moments.</param>
/// <param name="ErrorNanoseconds">How far the moments that it was found by lie apart; 0 where nothing had to be found.</param>
public sealed record ClockOffset(string Clock, ImmutableArray<string> Nodes, long Nanoseconds, long ErrorNanoseconds)
{
    /// <summary>
    /// Ranks of one machine share a clock. Between machines: a call of all ranks ends at the same moment for all of them, but for the
    /// network's last hop, and there is one as each step ends. The first rank on each clock to come back from it is the least late one.
    /// </summary>
    /// <param name="nodeOf">Of a rank.</param>
    /// <returns>The first one is that of the lowest rank, and is not moved.</returns>
    public static ImmutableArray<ClockOffset> Of(IEnumerable<RankTrace> ranks, Func<int, string> nodeOf)
    {
        var clocks = ranks.OrderBy(r => r.Rank).GroupBy(r => r.Clock).ToList();
        return clocks.Count == 0 ? [] : [.. clocks.Select(clock => Against(clocks[0], clock, nodeOf))];
    }

    private static ClockOffset Against(IGrouping<string, RankTrace> first, IGrouping<string, RankTrace> own, Func<int, string> nodeOf)
    {
        ImmutableArray<string> nodes = [.. own.Select(r => nodeOf(r.Rank)).Distinct()];
        if (first.Key == own.Key)
        {
            return new ClockOffset(own.Key, nodes, 0, 0);
        }

        int moments = Math.Min(first.Min(r => r.Together.Length), own.Min(r => r.Together.Length));
        long[] apart = [.. Enumerable.Range(0, moments).Select(i => first.Min(r => r.Together[i]) - own.Min(r => r.Together[i])).Order()];
        long offset = moments == 0 ? 0 : apart[moments / 2];
        return new ClockOffset(own.Key, nodes, offset, apart.Select(a => Math.Abs(a - offset)).DefaultIfEmpty().Max());
    }
}
