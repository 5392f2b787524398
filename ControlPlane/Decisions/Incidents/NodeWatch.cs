using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Incidents;

/// <summary>What incidents of nodes are decided from.</summary>
/// <param name="Seen">With tests in it; cordons and maintenance are told apart by the next.</param>
/// <param name="ByPeople">Nodes that a person or the calendar took out: what is done to them there is no fault.</param>
/// <param name="TimeFactor">Seconds of the cluster's own time in one of the clock.</param>
public sealed record NodeWatchQuestion(
    ClusterSnapshot Seen, ImmutableArray<GangGrant> Held, ImmutableHashSet<NodeId> ByPeople, double TimeFactor, DateTimeOffset Now);

/// <summary>Every transition of an incident of a node. It decides nothing about placement, which keeps off such a node anyway.</summary>
public static class NodeWatch
{
    /// <summary>
    /// Not ready for longer is an incident. Ours: a kubelet that restarts is back within seconds, and Kubernetes itself waits for 50 s
    /// before it says so.
    /// </summary>
    public static readonly TimeSpan OpensAfter = TimeSpan.FromSeconds(30);

    /// <summary>
    /// So long ready again without a test closes it. Ours: nodes that come back bad go again within minutes (a soak before the return is
    /// worth more than a score: StepFun's trace, 42 % of its faults met a node that had one in the 30 days before).
    /// </summary>
    public static readonly TimeSpan Soak = TimeSpan.FromMinutes(10);

    public static NodeIncidents Look(NodeIncidents known, NodeWatchQuestion q)
    {
        // A cluster that stops as a whole, or shows no node at all, says nothing of any.
        if (q.Seen.Stopping || q.Seen.Nodes.IsEmpty)
        {
            return known;
        }

        var next = Follow(known, q);
        var seen = q.Seen.Nodes.ToDictionary(n => n.Id);
        foreach (var incident in next.Open)
        {
            var now = Turn(incident, seen.GetValueOrDefault(incident.Node), q);
            next = ReferenceEquals(now, incident) ? next : next.With(now);
        }

        var open = next.Open.Select(i => i.Node).ToHashSet();
        foreach (var node in q.Seen.Nodes.Where(n => !open.Contains(n.Id) && !q.ByPeople.Contains(n.Id)))
        {
            if (TroubleOf(node) is { } trouble && Lasted(next, node, q) is { } away)
            {
                next = next.With(Open(next, node, trouble, away, q));
            }
        }

        return next;
    }

    /// <summary>Who is not ready, since when, and who held it then.</summary>
    private static NodeIncidents Follow(NodeIncidents known, NodeWatchQuestion q)
    {
        var there = q.Seen.Nodes.Select(n => n.Id).ToHashSet();
        var away = known.Away.RemoveRange(known.Away.Keys.Where(n => !there.Contains(n)));
        foreach (var node in q.Seen.Nodes)
        {
            if (IsAway(node))
            {
                away = away.ContainsKey(node.Id) ? away : away.Add(node.Id, new NodeAway(q.Now, HeldBy(node.Id, q)));
            }
            else if (node.Health is not NodeHealth.Unknown)
            {
                away = away.Remove(node.Id);
            }
        }

        return away == known.Away ? known : known with { Away = away };
    }

    /// <summary>A pod that ended there is the stage's story, and the node is sound once it is gone.</summary>
    private static bool IsAway(NodeSeen node) => node is { Health: NodeHealth.NotReady, OutUntilGone: null };

    private static (string Cause, string Evidence)? TroubleOf(NodeSeen node) =>
        IsAway(node) ? (NodeIncident.NotReady, node.Reason.Length > 0 ? node.Reason : "the cluster says no more")
        : node.Test is { Result: NodeTestResult.Failed, Released: false } test ? (NodeIncident.FailedTest, test.Reason)
        : null;

    /// <summary>Null: it may come back by itself yet.</summary>
    private static NodeAway? Lasted(NodeIncidents known, NodeSeen node, NodeWatchQuestion q) =>
        known.Away.GetValueOrDefault(node.Id) is not { } away ? new NodeAway(q.Now, HeldBy(node.Id, q))
        : Passed(away.Since, q) >= OpensAfter ? away : null;

    private static TimeSpan Passed(DateTimeOffset since, NodeWatchQuestion q) => (q.Now - since) * q.TimeFactor;

    private static ImmutableArray<StageId> HeldBy(NodeId node, NodeWatchQuestion q) =>
        [.. q.Held.Where(h => h.Nodes.Contains(node)).Select(h => h.Stage)];

    private static NodeIncident Open(
        NodeIncidents known, NodeSeen node, (string Cause, string Evidence) trouble, NodeAway away, NodeWatchQuestion q)
    {
        string done = Done(away.Held, q);
        var begun = new NodeIncident(node.Id, known.Numbers.GetValueOrDefault(node.Id) + 1, IncidentState.Diagnosed, q.Now,
            trouble.Cause, $"{node.Id} {Is(trouble)}; {done}.", [])
        {
            Evidence = trouble.Evidence,
            Test = trouble.Cause == NodeIncident.FailedTest ? node.Test : null,
            Held = away.Held,
            Done = done,
            Slots = node.Slots,
            HappenedAt = away.Since,
        };
        return begun.To(IncidentState.Diagnosed, away.Since, Is(trouble)).To(IncidentState.Acting, q.Now, done);
    }

    private static string Is((string Cause, string Evidence) trouble) =>
        trouble.Cause == NodeIncident.NotReady ? $"is not ready: {trouble.Evidence}" : $"failed its test: {trouble.Evidence}";

    private static string Done(ImmutableArray<StageId> held, NodeWatchQuestion q)
    {
        var used = q.Held.SelectMany(h => h.Nodes).ToHashSet();
        int free = q.Seen.Nodes.Count(n => n.Health == NodeHealth.Ready && TroubleOf(n) is null && !used.Contains(n.Id)
            && !q.ByPeople.Contains(n.Id));
        string stands = free == 0 ? "no other sound node is free"
            : Words.Count(free, "other sound node is free", "other sound nodes are free");
        return held.IsEmpty ? $"nothing is placed there, and {stands}"
            : $"nothing is placed there, and {stands}; it was held by {string.Join(", ", held)}, whose own incident says how that went on";
    }

    private static NodeIncident Turn(NodeIncident incident, NodeSeen? node, NodeWatchQuestion q) => node switch
    {
        null => Close(incident, "it is no longer part of the cluster", q),
        // Nothing is known of it, which is never news.
        { Health: NodeHealth.Unknown } => incident,
        _ when TroubleOf(node) is { } trouble => StillOut(incident, node, trouble, q),
        _ when incident.State == IncidentState.Verifying => Verify(incident, node, q),
        { Test: { Result: NodeTestResult.Failed, Released: true } } when incident.Cause == NodeIncident.FailedTest =>
            Close(incident, "a person lets it be used all the same", q),
        _ when PassedSince(node, incident.OpenedAt) => Close(incident, "it passed its test", q),
        _ => (incident with { BackAt = q.Now }).To(IncidentState.Verifying, q.Now,
            $"ready again; a test that it passes, or {Words.Duration(Soak)} without trouble, closes this"),
    };

    private static NodeIncident StillOut(
        NodeIncident incident, NodeSeen node, (string Cause, string Evidence) trouble, NodeWatchQuestion q)
    {
        bool same = incident.State == IncidentState.Acting && incident.Cause == trouble.Cause
            && Words.SameButFigures(incident.Evidence, trouble.Evidence);
        return same ? incident : (incident with
        {
            Cause = trouble.Cause,
            Evidence = trouble.Evidence,
            Test = trouble.Cause == NodeIncident.FailedTest ? node.Test : incident.Test,
            BackAt = null,
            Sentence = $"{node.Id} {Is(trouble)}; {incident.Done}.",
        }).To(IncidentState.Acting, q.Now, Is(trouble));
    }

    private static NodeIncident Verify(NodeIncident incident, NodeSeen node, NodeWatchQuestion q)
    {
        var back = incident.BackAt ?? q.Now;
        return PassedSince(node, back) ? Close(incident, "it is ready again and passed its test", q)
            : Passed(back, q) >= Soak ? Close(incident, $"it has been ready again for {Words.Duration(Passed(back, q))}", q)
            : incident;
    }

    private static bool PassedSince(NodeSeen node, DateTimeOffset since) =>
        node.Test is { Result: NodeTestResult.Passed } test && test.At > since;

    private static NodeIncident Close(NodeIncident incident, string because, NodeWatchQuestion q)
    {
        var lasted = (incident.BackAt ?? q.Now) - incident.HappenedAt;
        return incident.To(IncidentState.Closed, q.Now, because) with
        {
            EndedAt = q.Now,
            Sentence = $"{incident.Node} was out of use for {Words.Duration(lasted)} ({incident.Cause}: {incident.Evidence}); {because}.",
        };
    }
}
