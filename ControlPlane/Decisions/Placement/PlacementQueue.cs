using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>Everything that placement may know when it decides.</summary>
public sealed record PlacementQuestion(
    ClusterSnapshot Cluster, ImmutableArray<GangGrant> Held, ImmutableArray<GangRequest> Waiting, PlacementPolicy Policy, DateTimeOffset Now);

/// <summary>Who gets nodes now, who has to give way, and why the others wait.</summary>
public sealed record PlacementAnswer(
    ImmutableArray<PlacementDecision.Placed> Placed,
    ImmutableArray<Preemption> Preemptions,
    IReadOnlyDictionary<StageId, PlacementDecision.Pending> Pending);

/// <summary>
/// The queue: priority, then fair share, then first come. The first gang that does not fit reserves the earliest moment at which it
/// will; those behind it may fill the gap only where they do not move that moment (EASY backfill, Lifka 1995). So the cluster is not
/// idle while a big gang waits, and the big gang is not starved by small ones.
/// </summary>
public static class PlacementQueue
{
    public static PlacementAnswer Decide(PlacementQuestion question)
    {
        var free = new FreeNodes(question.Cluster.Nodes, question.Held);
        var shares = new TeamShares(question);
        var placed = ImmutableArray.CreateBuilder<PlacementDecision.Placed>();
        var pending = new Dictionary<StageId, PlacementDecision.Pending>(question.Waiting.Length);
        ImmutableArray<Preemption> preemptions = [];
        Reservation? reservation = null;
        int ahead = 0;
        foreach (var request in Ordered(Startable(question, free, shares, pending), shares).Take(question.Policy.Depth))
        {
            if (shares.Refusal(request) is { } overQuota)
            {
                pending[request.Stage] = new PlacementDecision.Pending(overQuota, null, []);
                continue;
            }

            if (TryNow(request, free, reservation, question.Now) is { } now)
            {
                free.Take(now.Grant);
                reservation?.Consider(now.Grant);
                shares.Add(now.Grant);
                placed.Add(now);
                pending.Remove(request.Stage);
                continue;
            }

            if (reservation is null)
            {
                // What was placed a moment ago in this same answer frees nodes later too.
                var held = question.Held.AddRange(placed.Select(p => p.Grant));
                reservation = Reservation.For(request, free, held, question.Now);
                preemptions = Victims.For(request, free, question);
                pending[request.Stage] = WhyPending.First(request, free, reservation, preemptions, question);
            }
            else
            {
                pending[request.Stage] = WhyPending.Behind(request, free, reservation, ahead, question);
            }

            ahead++;
        }

        return new PlacementAnswer(placed.ToImmutable(), preemptions, pending);
    }

    /// <summary>
    /// Who is over quota or too large for the cluster stands in nobody's way. All others wait for the ones before them until they are
    /// looked at themselves.
    /// </summary>
    private static List<GangRequest> Startable(
        PlacementQuestion question, FreeNodes free, TeamShares shares, Dictionary<StageId, PlacementDecision.Pending> pending)
    {
        var behind = new PlacementDecision.Pending($"waits behind the first {question.Policy.Depth} of {question.Waiting.Length} gangs", null, []);
        var startable = new List<GangRequest>(question.Waiting.Length);
        foreach (var request in question.Waiting)
        {
            int large = free.LargeEnough(request.SlotsPerNode);
            string? overQuota = shares.Refusal(request);
            pending[request.Stage] = large < request.Nodes ? WhyPending.Never(request, large)
                : overQuota is null ? behind : new PlacementDecision.Pending(overQuota, null, []);
            if (overQuota is null && large >= request.Nodes)
            {
                startable.Add(request);
            }
        }

        return startable;
    }

    private static IOrderedEnumerable<GangRequest> Ordered(List<GangRequest> waiting, TeamShares shares) =>
        waiting.OrderByDescending(r => r.Priority).ThenBy(r => shares.Of(r.Team)).ThenBy(r => r.Since)
            .ThenBy(r => r.Stage.ToString(), StringComparer.Ordinal);

    private static PlacementDecision.Placed? TryNow(GangRequest request, FreeNodes free, Reservation? reservation, DateTimeOffset now)
    {
        if (Placer.TryPlace(request, free, now) is not { } candidate)
        {
            return null;
        }

        return reservation is null || reservation.Allows(candidate.Grant) ? candidate : null;
    }
}
