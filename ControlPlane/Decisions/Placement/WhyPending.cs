using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>Why a gang waits, in words with numbers: the binding reason first, when it should start, and what would start it sooner.</summary>
internal static class WhyPending
{
    /// <summary>Estimated ends of long jobs come late more often than early.</summary>
    private const double EarlyShare = 0.1;
    private const double LateShare = 0.5;

    public static PlacementDecision.Pending First(
        GangRequest request, FreeNodes free, Reservation reservation, ImmutableArray<Preemption> preemptions, PlacementQuestion question)
    {
        string reason = Shortage(request, free);
        if (!preemptions.IsEmpty)
        {
            reason += $"; {string.Join(", ", preemptions.Select(p => p.Stage.ToString()))} {(preemptions.Length == 1 ? "is" : "are")} asked to save and give way";
        }
        else if (reservation.At is { } at)
        {
            reason += $"; first in the queue, its nodes are reserved from {Words.Duration(at - question.Now)} from now";
        }
        else
        {
            reason += "; first in the queue, but no held gang says when it ends, so there is no start time to promise";
        }

        return new PlacementDecision.Pending(reason, Estimate(reservation.At, question.Now), Ways(request, free, question));
    }

    public static PlacementDecision.Pending Never(GangRequest request, int largeEnough) => new(
        $"can never start: it asks for {Words.Count(request.Nodes, "node", "nodes")} with {request.SlotsPerNode} GPUs and the cluster has {largeEnough}",
        null, [$"ask for {largeEnough} nodes or fewer"]);

    public static PlacementDecision.Pending Behind(GangRequest request, FreeNodes free, Reservation? reservation, int ahead, PlacementQuestion question)
    {
        int feasible = free.Feasible(request.SlotsPerNode).Count;
        string reason = feasible >= request.Nodes && reservation is not null
            ? $"{feasible} nodes are free, but they are held together for {reservation.Stage} ({reservation.Nodes} nodes), and this gang "
                + (request.Expected is null ? "does not say how long it runs" : "would not be done in time")
            : Shortage(request, free);
        return new PlacementDecision.Pending($"{reason}; {Words.Count(ahead, "gang", "gangs")} ahead in the queue", null, Ways(request, free, question));
    }

    private static string Shortage(GangRequest request, FreeNodes free)
    {
        var excluded = free.Excluded(request.SlotsPerNode);
        string[] parts = [.. new[]
        {
            (excluded.Busy, "busy"), (excluded.NotReady, "not ready"), (excluded.Unknown, "of unknown health"), (excluded.Cordoned, "cordoned"),
        }.Where(p => p.Item1 > 0).Select(p => $"{p.Item1} {p.Item2}")];
        int feasible = free.Feasible(request.SlotsPerNode).Count;
        return $"needs {Words.Count(request.Nodes, "node", "nodes")} with {Words.Count(request.SlotsPerNode, "free GPU", "free GPUs")}; "
            + $"{feasible} of {free.Count} {(feasible == 1 ? "is" : "are")} free" + (parts.Length > 0 ? $" ({string.Join(", ", parts)})" : "");
    }

    private static StartEstimate? Estimate(DateTimeOffset? likely, DateTimeOffset now)
    {
        if (likely is not { } at)
        {
            return null;
        }

        var wait = at - now;
        return new StartEstimate(at - (wait * EarlyShare), at, at + (wait * LateShare));
    }

    /// <summary>Cheapest first: what costs nobody anything, then fewer nodes, then other people's work.</summary>
    private static ImmutableArray<string> Ways(GangRequest request, FreeNodes free, PlacementQuestion question)
    {
        var ways = ImmutableArray.CreateBuilder<string>();
        var excluded = free.Excluded(request.SlotsPerNode);
        int feasible = free.Feasible(request.SlotsPerNode).Count;
        if (excluded.Cordoned > 0 && feasible + excluded.Cordoned >= request.Nodes)
        {
            ways.Add($"uncordon {request.Nodes - feasible} of {Words.Count(excluded.Cordoned, "cordoned node", "cordoned nodes")}: costs nothing if they are sound");
        }

        int whole = feasible / Math.Max(1, request.GroupNodes) * Math.Max(1, request.GroupNodes);
        if (whole > 0 && whole < request.Nodes)
        {
            double longer = ((double)request.Nodes / whole) - 1;
            ways.Add($"{Words.Count(whole, "node", "nodes")} now: about +{longer:P0} wall time at best");
        }

        if (question.Held.Where(h => h.Priority < request.Priority).MinBy(h => h.Nodes.Length * h.SlotsPerNode) is { } cheapest)
        {
            double hours = cheapest.Nodes.Length * cheapest.SlotsPerNode * cheapest.SaveTime.TotalHours * 2;
            ways.Add($"preempt {cheapest.Stage} ({cheapest.Nodes.Length} nodes): about {hours:0.##} GPU-h lost to its save and restart");
        }

        return ways.ToImmutable();
    }
}
