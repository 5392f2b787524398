using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>
/// Whom an urgent gang pushes out: as few and as cheap as possible. Each victim saves a checkpoint first, in a grace that fits its own
/// save time, so what it loses is the time to stop and start again.
/// </summary>
internal static class Victims
{
    /// <summary>A victim's grace is its save time with this much room: a save under load is slower than one at rest.</summary>
    private const double GraceFactor = 3;

    public static ImmutableArray<Preemption> For(GangRequest request, FreeNodes free, TeamShares shares, PlacementQuestion question)
    {
        bool reclaims = question.Policy.Borrow && shares.Within(request);
        // Lowest priority first, then the youngest: it has the least to repeat.
        var candidates = question.Held
            .Where(h => h.Hold.Length == 0 && !h.Ahead.Contains(request.Stage))
            .Where(h => Below(h, request, question.Policy) || (reclaims && Borrowed(h, request, shares)))
            .OrderBy(h => h.Priority).ThenByDescending(h => h.At).ThenBy(h => h.Stage.ToString(), StringComparer.Ordinal);
        return [.. Choose(request, free, candidates).Select(v => Order(request, v, Below(v, request, question.Policy) ? null : shares))];
    }

    /// <summary>Those that would be asked to give way, and are held by a person.</summary>
    public static IEnumerable<GangGrant> Held(GangRequest request, PlacementQuestion question) => question.Held
        .Where(h => h.Hold.Length > 0 && !h.Ahead.Contains(request.Stage) && Below(h, request, question.Policy));

    private static bool Below(GangGrant held, GangRequest request, PlacementPolicy policy) =>
        policy.PreemptAbove is { } gap && held.Priority + gap <= request.Priority;

    /// <summary>A team inside its quota takes back what others hold beyond theirs.</summary>
    private static bool Borrowed(GangGrant held, GangRequest request, TeamShares shares) =>
        held.Team != request.Team && held.Priority <= request.Priority && shares.Held(held.Team) > shares.Owned(held.Team);

    /// <summary>As few of the candidates, in their order, as make room; none where all together do not.</summary>
    public static IReadOnlyList<GangGrant> Choose(GangRequest request, FreeNodes free, IEnumerable<GangGrant> candidates) =>
        free.Trial(() => Play(request, free, candidates));

    private static List<GangGrant> Play(GangRequest request, FreeNodes free, IEnumerable<GangGrant> candidates)
    {
        var chosen = new List<GangGrant>();
        int feasible = free.Feasible(request).Count;
        foreach (var candidate in candidates)
        {
            if (feasible >= request.Nodes)
            {
                break;
            }

            feasible = free.GiveBack(candidate, request, feasible);
            chosen.Add(candidate);
        }

        chosen.ForEach(free.Take);
        return feasible >= request.Nodes ? Spared(request, free, chosen) : [];
    }

    /// <summary>Drops victims that turned out not to be needed once the later, larger ones were chosen.</summary>
    private static List<GangGrant> Spared(GangRequest request, FreeNodes free, List<GangGrant> chosen)
    {
        var needed = new List<GangGrant>(chosen);
        chosen.ForEach(free.GiveBack);
        foreach (var victim in chosen)
        {
            free.Take(victim);
            if (free.Feasible(request).Count >= request.Nodes)
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

    private static Preemption Order(GangRequest request, GangGrant victim, TeamShares? reclaims)
    {
        var grace = Grace(victim);
        string why = reclaims is null ? $"priority {Priorities.Name(request.Priority)} over {Priorities.Name(victim.Priority)}"
            : $"team {request.Team} is inside its quota, team {victim.Team} owns {reclaims.Owned(victim.Team)} GPUs and holds "
                + $"{reclaims.Held(victim.Team)}";
        return new Preemption(victim.Stage, victim.Gang, request.Stage, grace,
            $"gives way to {request.Stage} ({why}); it has {Words.Duration(grace)} to save first");
    }
}
