using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>A node that is to be tested now.</summary>
/// <param name="ByPerson">It was asked for: it does not give way to gangs that wait for other nodes.</param>
public sealed record NodeTestDue(NodeId Node, string Why, bool ByPerson);

/// <summary>What the choice of nodes to test is made from.</summary>
/// <param name="Seen">With cordons, tests and maintenance in it.</param>
/// <param name="Asked">Whom people asked for.</param>
/// <param name="Returned">Not ready before, ready now, and not tested since.</param>
/// <param name="Running">Under test.</param>
/// <param name="Every">Null: only what is asked for is tested.</param>
public sealed record NodeTestQuestion(
    ClusterSnapshot Seen, ImmutableArray<GangGrant> Held, bool GangsWait, ImmutableHashSet<NodeId> Asked,
    ImmutableHashSet<NodeId> Returned, ImmutableHashSet<NodeId> Running, TimeSpan? Every, DateTimeOffset Now);

/// <summary>
/// Which idle nodes are tested next. Work comes first: a node that is held, or runs a pod, is never tested, and while a gang waits nothing
/// is tested that nobody asked for.
/// </summary>
public static class NodeTestPlan
{
    /// <summary>Fire-Flyer tests each node weekly (arXiv 2408.14158, section VII).</summary>
    public static readonly TimeSpan Weekly = TimeSpan.FromDays(7);

    /// <summary>Of the idle nodes so much is tested at a time: ours, so that the others are there for whoever comes.</summary>
    private const int OneOf = 8;

    /// <summary>What could not be tested is not tried again at once: ours.</summary>
    private static readonly TimeSpan AgainAfter = TimeSpan.FromHours(1);

    public static ImmutableArray<NodeTestDue> Next(NodeTestQuestion q)
    {
        HashSet<NodeId> used = [.. q.Held.SelectMany(h => h.Nodes),
            .. q.Seen.Pods.Where(p => p.Phase is not (PodPhase.Exited or PodPhase.Stopped)).Select(p => p.Node)];
        var idle = q.Seen.Nodes.Where(n => !used.Contains(n.Id)).ToArray();
        int room = Math.Max(1, idle.Length / OneOf) - q.Running.Count;
        return room <= 0 ? [] : [.. idle.Where(n => !q.Running.Contains(n.Id)).Select(n => (Rank: Rank(n, q, out string why), n, why))
            .Where(d => d.Rank is not null).OrderBy(d => d.Rank).Take(room)
            .Select(d => new NodeTestDue(d.n.Id, d.why, q.Asked.Contains(d.n.Id)))];
    }

    /// <summary>Why a node that a person asked for is not tested; null: it is, or will be in its turn.</summary>
    public static string? Refusal(NodeId node, ClusterSnapshot seen, ImmutableArray<GangGrant> held) =>
        held.FirstOrDefault(h => h.Nodes.Contains(node)) is { } gang
            ? $"{node} is in use by {gang.Stage}: a test would take its GPUs away. Drain it first (`dsops cluster drain {node}`), or ask "
                + "again when it is idle."
            : seen.Nodes.FirstOrDefault(n => n.Id == node) is { Health: NodeHealth.NotReady or NodeHealth.Unknown } away
                ? $"{node} is not ready: {away.Reason}. It is tested when it comes back." : null;

    /// <summary>The lowest first; null: not now.</summary>
    private static (int Kind, DateTimeOffset Since)? Rank(NodeSeen node, NodeTestQuestion q, out string why)
    {
        var newest = node.Test;
        var since = newest?.At ?? DateTimeOffset.MinValue;
        bool untried = newest is null || q.Now - newest.At >= AgainAfter;
        (int Kind, string Why)? due = node.Health switch
        {
            NodeHealth.NotReady or NodeHealth.Unknown => null,
            _ when q.Asked.Contains(node.Id) => (0, "asked for"),
            // What a person or the calendar took out is theirs, and what failed waits for its repair.
            NodeHealth.Cordoned or NodeHealth.Maintenance => null,
            _ when q.Every is null || q.GangsWait => null,
            _ when newest is { Result: NodeTestResult.Suspect } => (1, "slow once"),
            _ when q.Returned.Contains(node.Id) && untried => (2, "came back"),
            _ when newest is null => (3, "never tested"),
            _ when newest.Result == NodeTestResult.Inconclusive && untried => (4, "could not be tested"),
            _ when q.Now - newest.At >= q.Every => (5, $"not tested for {Words.Duration(q.Now - newest.At)}"),
            _ => null,
        };
        why = due?.Why ?? "";
        return due is { } now ? (now.Kind, since) : null;
    }
}
