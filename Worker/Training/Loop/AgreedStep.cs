namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>What a rank says of its memory.</summary>
/// <param name="Tag">Of all that decides the numbers of its state; empty: it has no memory.</param>
/// <param name="Steps">Whose states it holds.</param>
internal sealed record RankKept(string Tag, IReadOnlyList<long> Steps)
{
    /// <summary>It has come to the gang: it has room, and nothing in it.</summary>
    public bool Lacks => Tag.Length > 0 && Steps.Count == 0;
}

/// <summary>Where a gang goes on from that forms again.</summary>
internal static class AgreedStep
{
    /// <summary>The newest step that every rank has kept, since a step is made by all ranks or by none.</summary>
    /// <param name="kept">The steps that each rank has in memory.</param>
    /// <param name="onDisk">Step of the newest checkpoint; -1: there is none. A newer one than all of them is gone on from instead.</param>
    /// <returns>Null: there is no such step.</returns>
    public static long? Of(IReadOnlyList<IReadOnlyCollection<long>> kept, long onDisk)
    {
        long[] common = [.. kept.Aggregate(kept[0].AsEnumerable(), (all, rank) => all.Intersect(rank)).Where(step => step >= onDisk)];
        return common.Length == 0 ? null : common.Max();
    }

    /// <summary>
    /// The steps that each rank has or can be given: one that has none, those of all that hold the same part of the model. Those that
    /// have some are given nothing: a step that is made again costs less than a state that goes over the network.
    /// </summary>
    public static IReadOnlyList<IReadOnlyCollection<long>> WithHeldElsewhere(IReadOnlyList<RankKept> ranks) =>
        [.. ranks.Select(r => r.Lacks && HoldersOf(r.Tag, ranks) is { Count: > 0 } holders
            ? holders.Aggregate(ranks[holders[0]].Steps.AsEnumerable(), (all, holder) => all.Intersect(ranks[holder].Steps)).ToList()
            : r.Steps)];

    /// <summary>Who gives whom a state, in the order in which all do so. Those that hold a part take turns.</summary>
    public static IEnumerable<(int From, int To)> Transfers(IReadOnlyList<RankKept> ranks)
    {
        var turns = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var to = 0; to < ranks.Count; to++)
        {
            if (ranks[to].Lacks && HoldersOf(ranks[to].Tag, ranks) is { Count: > 0 } holders)
            {
                var turn = turns.GetValueOrDefault(ranks[to].Tag);
                turns[ranks[to].Tag] = turn + 1;
                yield return (holders[turn % holders.Count], to);
            }
        }
    }

    private static List<int> HoldersOf(string tag, IReadOnlyList<RankKept> ranks) =>
        [.. Enumerable.Range(0, ranks.Count).Where(i => ranks[i].Tag == tag && ranks[i].Steps.Count > 0)];
}
