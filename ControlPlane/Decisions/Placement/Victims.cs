using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>
/// Whom an urgent gang pushes out: as few and as cheap as possible. Each victim saves a checkpoint first, in a grace that fits its own
/// save time, so what it loses is the time to stop and start again.
/// </summary>
internal static class Victims
{
    /// <summary>A victim's grace is its save time with this much room: a save under load is slower than one at rest.</summary>
    private const double GraceFactor = 3;

    public static ImmutableArray<Preemption> For(GangRequest request, FreeNodes free, PlacementQuestion question)
    {
        if (question.Policy.PreemptAbove is not { } gap)
        {
            return [];
        }

        // Lowest priority first, then the youngest: it has the least to repeat.
        var candidates = question.Held.Where(h => h.Priority + gap <= request.Priority)
            .OrderBy(h => h.Priority).ThenByDescending(h => h.At).ThenBy(h => h.Stage.ToString(), StringComparer.Ordinal).ToList();
        var chosen = new List<GangGrant>();
        foreach (var candidate in candidates)
        {
            if (free.Feasible(request.SlotsPerNode).Count >= request.Nodes)
            {
                break;
            }

            free.GiveBack(candidate);
            chosen.Add(candidate);
        }

        bool enough = free.Feasible(request.SlotsPerNode).Count >= request.Nodes;
        chosen.ForEach(free.Take);
        return enough ? [.. Spared(request, free, chosen).Select(v => Order(request, v))] : [];
    }

    /// <summary>Drops victims that turned out not to be needed once the later, larger ones were chosen.</summary>
    private static List<GangGrant> Spared(GangRequest request, FreeNodes free, List<GangGrant> chosen)
    {
        var needed = new List<GangGrant>(chosen);
        chosen.ForEach(free.GiveBack);
        foreach (var victim in chosen)
        {
            free.Take(victim);
            if (free.Feasible(request.SlotsPerNode).Count >= request.Nodes)
            {
                needed.Remove(victim);
            }
            else
            {
                free.GiveBack(victim);
            }
        }

        needed.ForEach(free.Take);
        return needed;
    }

    public static TimeSpan Grace(GangGrant victim) => victim.SaveTime * GraceFactor;

    private static Preemption Order(GangRequest request, GangGrant victim)
    {
        var grace = Grace(victim);
        return new Preemption(victim.Stage, victim.Gang, request.Stage, grace,
            $"gives way to {request.Stage} (priority {request.Priority} over {victim.Priority}); it has {Words.Duration(grace)} to save first");
    }
}
