using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>
/// Chooses the nodes of one gang: feasible, ranked, selected; all or nothing. Near beats far: the fewest leaves, inside one zone where
/// one has room, expert-parallel groups whole under a leaf. Among equals the tightest fit, so that big holes stay for big gangs.
/// </summary>
internal static class Placer
{
    /// <summary>The grant and a sentence on how near its nodes are; null when there is no room.</summary>
    public static PlacementDecision.Placed? TryPlace(GangRequest request, FreeNodes free, DateTimeOffset now)
    {
        var feasible = free.Feasible(request);
        if (feasible.Count < request.Nodes)
        {
            return null;
        }

        List<int> clean = request.Avoid.IsEmpty ? [.. feasible] : [.. feasible.Where(i => !request.Avoid.ContainsKey(free[i].Id))];
        bool uses = clean.Count < request.Nodes;
        // A spare is taken only where nothing else is left, so that it is there for the next failure.
        List<int> ordinary = request.Restores ? clean.FindAll(i => !free.IsSpare(i)) : clean;
        var chosen = Select(request, free, uses ? [.. feasible] : ordinary.Count >= request.Nodes ? ordinary : clean);
        // Rank order follows the fabric: neighbours in a pipeline or an expert group are neighbours in the network.
        chosen.Sort();
        var nodes = chosen.ConvertAll(i => free[i].Id);
        var grant = new GangGrant(request.Stage, request.Gang, [.. nodes], request.SlotsPerNode, now)
        {
            Priority = request.Priority,
            Team = request.Team,
            ExpectedEnd = now + request.Expected,
            EndError = request.ExpectedError,
            EndBasis = request.ExpectedBasis,
            SaveTime = request.SaveTime,
            Group = request.Group,
            Restores = request.Restores,
            Untried = [.. chosen.Where(i => free[i].Untried).Select(i => free[i].Id)],
        };
        return new PlacementDecision.Placed(grant, Sentence(request, free, chosen, uses));
    }

    private static List<int> Select(GangRequest request, FreeNodes free, List<int> candidates)
    {
        // A zone with room for all of it beats the whole cluster; the tightest such zone leaves the others free.
        var zone = candidates.GroupBy(i => Fabric.ZoneOf(free[i]), StringComparer.Ordinal)
            .Select(g => g.ToList()).Where(g => g.Count >= request.Nodes).MinBy(g => g.Count) ?? candidates;
        var leaves = zone.GroupBy(i => Fabric.LeafOf(free[i]), StringComparer.Ordinal)
            .Select(g =>
                g.OrderBy(i => request.Avoid.ContainsKey(free[i].Id)).ThenBy(free.IsSpare).ThenBy(i => free[i].LemonScore).ThenBy(i => i)
                    .ToList())
            .ToList();
        if (leaves.Where(l => l.Count >= request.Nodes).MinBy(l => l.Count) is { } oneLeaf)
        {
            return oneLeaf.GetRange(0, request.Nodes);
        }

        return FewestLeaves(request, leaves);
    }

    /// <summary>
    /// Whole groups from the roomiest leaves first, the rest from the leaf it fits tightest; a group is split only when nothing else is
    /// left.
    /// </summary>
    private static List<int> FewestLeaves(GangRequest request, List<List<int>> leaves)
    {
        var chosen = new List<int>(request.Nodes);
        int group = Math.Max(1, request.GroupNodes);
        foreach (var leaf in leaves.OrderByDescending(l => l.Count / group).ToList())
        {
            int missing = request.Nodes - chosen.Count;
            if (missing == 0)
            {
                return chosen;
            }

            // The tail goes where it fits tightest instead of breaking the next big leaf.
            var source = leaves.Where(l => l.Count >= missing).MinBy(l => l.Count) ?? leaf;
            int take = source.Count >= missing ? missing : source.Count / group * group;
            chosen.AddRange(source.GetRange(0, take));
            source.RemoveRange(0, take);
        }

        foreach (var leaf in leaves.OrderByDescending(l => l.Count))
        {
            int take = Math.Min(request.Nodes - chosen.Count, leaf.Count);
            chosen.AddRange(leaf.GetRange(0, take));
        }

        return chosen;
    }

    private static string Sentence(GangRequest request, FreeNodes free, List<int> chosen, bool usesAvoided)
    {
        int leaves = chosen.Select(i => Fabric.LeafOf(free[i])).Distinct(StringComparer.Ordinal).Count();
        int zones = chosen.Select(i => Fabric.ZoneOf(free[i])).Distinct(StringComparer.Ordinal).Count();
        string where = request.Nodes == 1
            ? $"placed on {free[chosen[0]].Id}"
            : $"placed on {Words.Nodes([.. chosen.Select(i => free[i].Id)])} under "
                + $"{Words.Count(leaves, "leaf", "leaves")}"
                + (zones > 1 ? $" in {zones} zones" : "");
        string avoided = string.Join(", ", chosen.Where(i => request.Avoid.ContainsKey(free[i].Id)).Take(3)
            .Select(i => $"{free[i].Id} ({request.Avoid[free[i].Id]})"));
        int spares = chosen.Count(free.IsSpare);
        where += spares == 0 ? "" : $", {Words.Count(spares, "of them a spare", "of them spares")}";
        return usesAvoided ? $"{where}; no other node is free, so it takes {avoided} again" : where;
    }
}
