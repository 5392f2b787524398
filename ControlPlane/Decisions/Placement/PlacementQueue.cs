using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>Everything that placement may know when it decides.</summary>
public sealed record PlacementQuestion(
    ClusterSnapshot Cluster, ImmutableArray<GangGrant> Held, ImmutableArray<GangRequest> Waiting, PlacementPolicy Policy,
    DateTimeOffset Now)
{
    /// <summary>What people changed in the order, oldest first.</summary>
    public ImmutableArray<HandMove> Moves { get; init; } = [];

    /// <summary>What held gangs last said of themselves: prices are reckoned by it.</summary>
    public IReadOnlyDictionary<StageId, PaceSeen> Paces { get; init; } = ImmutableDictionary<StageId, PaceSeen>.Empty;
}

/// <summary>Who gets nodes now, who has to give way, and why the others wait.</summary>
/// <param name="Order">Everybody who waited, as the queue stands: who is looked at first comes first; who can never start, last.</param>
public sealed record PlacementAnswer(
    ImmutableArray<PlacementDecision.Placed> Placed,
    ImmutableArray<Preemption> Preemptions,
    IReadOnlyDictionary<StageId, PlacementDecision.Pending> Pending,
    ImmutableArray<StageId> Order);

/// <summary>
/// The queue: priority, then who lost a node, then fair share, then first come; a person's moves on top. The first gang that does not
/// fit reserves the earliest moment at which it will; those behind it may fill the gap only where they do not move that moment (EASY
/// backfill, Lifka 1995). So the cluster is not idle while a big gang waits, and the big gang is not starved by small ones. Gangs of
/// different node groups do not stand in each other's way: the first of each group has a reservation.
/// </summary>
public static class PlacementQueue
{
    public static PlacementAnswer Decide(PlacementQuestion question)
    {
        var free = new FreeNodes(question.Cluster.Nodes, question.Held, question.Policy, question.Now);
        var shares = new TeamShares(question);
        var placed = ImmutableArray.CreateBuilder<PlacementDecision.Placed>();
        var pending = new Dictionary<StageId, PlacementDecision.Pending>(question.Waiting.Length);
        var preemptions = ImmutableArray.CreateBuilder<Preemption>();
        var reservations = new List<Reservation>();
        int ahead = 0;
        var never = new List<GangRequest>();
        var queue = HandOrder.Apply(new QueueOrder(shares).Apply(Startable(question, free, shares, pending, never)), question.Moves);
        foreach (var request in queue.Take(question.Policy.Depth))
        {
            if (shares.Refusal(request) is { } overQuota)
            {
                pending[request.Stage] = WhyPending.OverQuota(request, overQuota, free);
                continue;
            }

            if (TryNow(request, free, reservations, question.Now) is { } now)
            {
                now = now with { Grant = now.Grant with { Ahead = HandOrder.Passed(request.Stage, question.Moves) } };
                free.Take(now.Grant);
                reservations.ForEach(r => r.Consider(now.Grant, free));
                shares.Add(now.Grant);
                placed.Add(now);
                pending.Remove(request.Stage);
                continue;
            }

            if (reservations.TrueForAll(r => r.Group != request.Group && r.Group.Length > 0))
            {
                // What was placed a moment ago in this same answer frees nodes later too.
                var held = question.Held.AddRange(placed.Select(p => p.Grant));
                var reservation = Reservation.For(request, free, held, question);
                var victims = preemptions.Count == 0 ? Victims.For(request, free, shares, question) : [];
                preemptions.AddRange(victims);
                reservations.Add(reservation);
                pending[request.Stage] = WhyPending.First(request, free, reservation, victims, ahead, question);
            }
            else
            {
                pending[request.Stage] = WhyPending.Behind(request, free, reservations, ahead, question);
            }

            ahead++;
        }

        foreach (var request in question.Waiting)
        {
            if (request.MayShrink && pending.TryGetValue(request.Stage, out var waits))
            {
                pending[request.Stage] = waits with { Room = RoomFor(request, free, question) };
            }
        }

        return new PlacementAnswer(placed.ToImmutable(), preemptions.ToImmutable(), pending,
            [.. queue.Select(r => r.Stage), .. never.Select(r => r.Stage)]);
    }

    private static RoomSeen RoomFor(GangRequest request, FreeNodes free, PlacementQuestion question)
    {
        var excluded = free.Excluded(request);
        return new RoomSeen(free.Feasible(request).Count, excluded.NotReady + excluded.Unknown + excluded.Cordoned + excluded.OutNow,
            question.Cluster.DealsUnevenly);
    }

    /// <summary>Why no cluster like this one ever has room for it, as "asks for …: write …". Null: it could start some day.</summary>
    public static string? CannotStart(GangRequest request, PlacementQuestion question)
    {
        int large = new FreeNodes(question.Cluster.Nodes, question.Held, question.Policy, question.Now).LargeEnough(request);
        var (what, fix) = WhyPending.Misfit(request, large, question);
        return large >= request.Nodes ? null : what + fix("write ");
    }

    /// <summary>
    /// Who is over quota or too large for the cluster stands in nobody's way. All others wait for the ones before them until they are
    /// looked at themselves.
    /// </summary>
    private static List<GangRequest> Startable(
        PlacementQuestion question, FreeNodes free, TeamShares shares, Dictionary<StageId, PlacementDecision.Pending> pending,
        List<GangRequest> never)
    {
        var behind = WhyPending.Unlooked(question);
        var startable = new List<GangRequest>(question.Waiting.Length);
        foreach (var request in question.Waiting)
        {
            int large = free.LargeEnough(request);
            string? overQuota = shares.Refusal(request);
            pending[request.Stage] = large < request.Nodes ? WhyPending.Never(request, large, question)
                : overQuota is null ? behind : WhyPending.OverQuota(request, overQuota, free);
            (overQuota is null && large >= request.Nodes ? startable : never).Add(request);
        }

        return startable;
    }

    private static PlacementDecision.Placed? TryNow(GangRequest request, FreeNodes free, List<Reservation> reservations,
        DateTimeOffset now) =>
        Placer.TryPlace(request, free, now) is { } candidate && reservations.TrueForAll(r => r.Allows(candidate.Grant, free)) ? candidate
            : null;
}
