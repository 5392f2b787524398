using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using static DeepSeekOps.Decisions.Placement.PlacementDecision;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>Why a gang waits, in words with numbers: the binding reason first, and when it should start.</summary>
internal static class WhyPending
{
    /// <summary>Ways are looked for at the head of the queue only: further back it is the gangs before that one waits for.</summary>
    private const int WaysFor = 4;

    public static Pending First(
        GangRequest request, FreeNodes free, Reservation reservation, ImmutableArray<Preemption> preemptions, int ahead,
        PlacementQuestion question)
    {
        var reasons = ImmutableArray.CreateBuilder<PendingReason>();
        reasons.Add(new PendingReason(PendingKind.Capacity, Shortage(request, free)));
        if (!preemptions.IsEmpty)
        {
            reasons.Add(new PendingReason(PendingKind.Preempting,
                $"{string.Join(", ", preemptions.Select(p => p.Stage.ToString()))} {(preemptions.Length == 1 ? "is" : "are")} "
                    + "asked to save and give way"));
        }
        else
        {
            string place = ahead == 0 ? "first in the queue"
                : $"first of those that need {(request.Group.Length > 0 ? $"group {request.Group}" : "nodes of no group")}";
            reasons.Add(new PendingReason(PendingKind.Promised, reservation.At is { } at
                ? $"{place}, its nodes are reserved from {(at > question.Now ? $"{Words.Duration(at - question.Now)} from now" : "now")} on"
                : $"{place}; start time unknown: no running gang has an expected end"));
        }

        reasons.AddRange(Victims.Held(request, question)
            .Select(h => new PendingReason(PendingKind.Held, $"{h.Stage} is less urgent and does not give way: it is {h.Hold}")));
        reasons.AddRange(Others(request, free));
        return Pending.Of(reasons.ToImmutable(), StartEstimates.Of(reservation, question.Now), StartWays.For(request, free, question));
    }

    public static Pending Never(GangRequest request, int largeEnough, PlacementQuestion question)
    {
        var named = question.Policy.Groups.FirstOrDefault(g => g.Name == request.Group);
        var (what, fix) = Misfit(request, largeEnough, question);
        return request.Group.Length > 0 && named is null ? Only(PendingKind.Group, $"can never start: it {what}", [])
            : Only(PendingKind.Impossible, $"can never start: it {what}{fix("cancel it, and submit it with ")}",
                StartWays.Fewer(request, largeEnough));
    }

    /// <summary>
    /// What it asks for and what there is, and what to change of it, which is said of a run that waits as of one that is not submitted yet.
    /// </summary>
    public static (string What, Func<string, string> Fix) Misfit(GangRequest request, int largeEnough, PlacementQuestion question)
    {
        var named = question.Policy.Groups.FirstOrDefault(g => g.Name == request.Group);
        if (request.Group.Length > 0 && named is null)
        {
            string there = question.Policy.Groups.IsEmpty ? "this cluster names no groups"
                : $"there are {string.Join(", ", question.Policy.Groups.Select(g => g.Name))}";
            return ($"asks for nodes of group {request.Group}, and {there}", _ => "");
        }

        string where = named is null ? "the cluster" : $"group {request.Group}";
        bool spares = question.Policy.Spares > 0 && !request.Restores && named is null;
        string kept = spares ? $" beside the {Words.Count(question.Policy.Spares, "spare", "spares")} that are kept" : "";
        int largest = question.Cluster.Nodes.Where(n => named?.Holds(n) ?? true).Select(n => n.Slots).DefaultIfEmpty().Max();
        string takes = $"{(request.Nodes == 1 ? "takes" : "take")} {Words.Count(request.SlotsPerNode, "rank", "ranks")}";
        return ($"asks for {Words.Count(request.Nodes, "node", "nodes")} that {takes} and {where} has {largeEnough}{kept}",
            how => largest < request.SlotsPerNode ? $"; the largest node takes {largest}: {how}resources.ranksPerNode of at most {largest}"
                : $": {how}fewer resources.nodes");
    }

    public static Pending OverQuota(GangRequest request, string overQuota, FreeNodes free) =>
        Pending.Of([new PendingReason(PendingKind.Quota, overQuota), .. Others(request, free)], null, []);

    public static Pending Unlooked(PlacementQuestion question) =>
        Only(PendingKind.Behind, $"waits behind the first {question.Policy.Depth} of {question.Waiting.Length} gangs", []);

    public static Pending Behind(GangRequest request, FreeNodes free, List<Reservation> reservations, int ahead, PlacementQuestion question)
    {
        int feasible = free.Feasible(request).Count;
        var first = reservations.Find(r => r.Group == request.Group) ?? reservations[0];
        var binding = feasible >= request.Nodes
            ? new PendingReason(PendingKind.Reserved,
                $"{feasible} nodes are free, but they are held together for {first.Stage} ({first.Nodes} nodes), and this gang "
                + (request.Expected is null ? "does not say how long it runs" : "would not be done in time"))
            : new PendingReason(PendingKind.Capacity, Shortage(request, free));
        return Pending.Of(
            [binding, .. Others(request, free),
                new PendingReason(PendingKind.Behind, $"{Words.Count(ahead, "gang", "gangs")} ahead in the queue")],
            null, ahead < WaysFor ? StartWays.For(request, free, question) : []);
    }

    private static Pending Only(PendingKind kind, string text, ImmutableArray<StartWay> ways) =>
        Pending.Of([new PendingReason(kind, text)], null, ways);

    private static string Shortage(GangRequest request, FreeNodes free)
    {
        int feasible = free.Feasible(request).Count;
        string counts = free.ObstaclesOf(request, ObstaclesTo).Counts;
        return $"needs {Words.Count(request.Nodes, "node", "nodes")} with {Words.Count(request.SlotsPerNode, "free GPU", "free GPUs")}; "
            + $"{feasible} of {free.Count} {(feasible == 1 ? "is" : "are")} free" + (counts.Length > 0 ? $" ({counts})" : "");
    }

    private static ImmutableArray<PendingReason> Others(GangRequest request, FreeNodes free) =>
        free.ObstaclesOf(request, ObstaclesTo).Others;

    private static Obstacles ObstaclesTo(GangRequest request, FreeNodes free)
    {
        var excluded = free.Excluded(request);
        var counts = new[]
        {
            (excluded.Busy, "busy"), (excluded.NotReady, "not ready"), (excluded.Unknown, "of unknown health"),
            (excluded.Cordoned, "cordoned"),
            (excluded.OutNow, "out for maintenance"), (excluded.OutSoon, "soon out for maintenance"), (excluded.Spares, "kept as spares"),
            (excluded.OtherGroup, $"not in group {request.Group}"),
        }.Where(p => p.Item1 > 0).OrderByDescending(p => p.Item1).Select(p => $"{p.Item1} {p.Item2}");
        return new Obstacles(string.Join(", ", counts), [.. OthersOf(request, free)]);
    }

    /// <summary>What else keeps nodes from it, the most nodes first.</summary>
    private static IEnumerable<PendingReason> OthersOf(GangRequest request, FreeNodes free)
    {
        var excluded = free.Excluded(request);
        var others = new List<(int Nodes, PendingReason Reason)>();
        foreach (var (window, nodes) in free.WindowsBefore(request))
        {
            string until = request.Expected is null ? "the gang does not say how long it runs"
                : $"the gang would run for {Words.Duration(request.Expected.Value)}";
            others.Add(
                (nodes, new PendingReason(
                    PendingKind.Maintenance, $"maintenance {window} takes {Words.Count(nodes, "node", "nodes")}, and {until}")));
        }

        if (excluded.Spares > 0)
        {
            others.Add((excluded.Spares, new PendingReason(PendingKind.Spares,
                $"{Words.Count(excluded.Spares, "free node is a spare", "free nodes are spares")}, kept for gangs that lose one")));
        }

        if (request.Group.Length > 0)
        {
            int large = free.LargeEnough(request);
            others.Add((excluded.OtherGroup, new PendingReason(PendingKind.Group,
                $"only group {request.Group} will do: it has {Words.Count(large, "node", "nodes")}, "
                    + $"{free.Feasible(request).Count} of them free")));
        }

        return others.OrderByDescending(o => o.Nodes).Select(o => o.Reason);
    }
}
