using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// A long launch on new nodes counts as training only once all of its ranks have made their first steps there. Until then a failure is laid
/// to a new node first (<see cref="Recovery.NewNode"/>), and so is a rank of one that is far slower than its peers.
/// </summary>
public static class StageCheck
{
    /// <summary>
    /// So many times its peers' own work is too slow for a node to be launched on. Two steps are few, the first among them, so this is far
    /// from <see cref="SlowRanks.Slower"/>; the worst of Fire-Flyer's weekly findings were halves (arXiv 2408.14158).
    /// </summary>
    private const double TooSlow = 2;

    /// <summary>Less is the noise of a machine, whatever share of a step it is: ours.</summary>
    private static readonly TimeSpan TooSlowBy = TimeSpan.FromMilliseconds(200);

    /// <summary>New nodes that the first steps are still to check. Empty: none, or the stage is short, or trains.</summary>
    public static ImmutableArray<NodeId> Unchecked(Stage stage, GangGrant gang) =>
        stage.Phase is not Phase.Running && IsLong(stage) ? gang.Untried : [];

    /// <summary>What is said of a grant: "; node-3 is new: 2 steps of all ranks check it". Empty: nothing.</summary>
    public static string Announced(Stage stage, GangGrant gang)
    {
        if (gang.Untried.IsEmpty || !IsLong(stage))
        {
            return "";
        }

        string which = gang.Untried.Length < gang.Nodes.Length ? Words.Nodes(gang.Untried) : gang.Nodes.Length == 1 ? "it" : "all";
        var (are, them) = gang.Untried.Length == 1 ? ("is", "it") : ("are", "them");
        return $"; {which} {are} new: {Steps(stage)} of all ranks check {them}";
    }

    /// <summary>The first step is there. Null: it trains, nothing is to be checked.</summary>
    public static Decision? Begins(Stage stage, GangGrant gang, long first, Observation seen, DateTimeOffset now)
    {
        if (Unchecked(stage, gang).IsEmpty)
        {
            return null;
        }

        var timed = stage.Phase is Phase.Starting ? stage with { LaunchTook = seen.PhaseFor } : stage;
        return timed.To(new Phase.Checking(gang with { Newcomers = [] }, now, first, seen.PhaseFor), Checks(stage, gang));
    }

    public static Decision Goes(Stage stage, Phase.Checking checking, Observation seen, DateTimeOffset now)
    {
        var gang = checking.Gang;
        int made = gang.Nodes.Count(n => MadeSteps(stage, n, seen));
        if (made < gang.Nodes.Length)
        {
            string nodes = Words.Count(gang.Nodes.Length, "node", "nodes");
            return stage.Stay($"{Checks(stage, gang)}; all ranks of {made} of {nodes} have made them"
                + (Silence.Of(stage, seen) is { } silence ? $"; {silence.Words}" : ""));
        }

        var slow = Slow(stage, gang, seen);
        var hold = StageHolding.Of(stage, now);
        if (slow is { } found && hold is null && AnotherIsFree(gang, seen))
        {
            return StageRecovery.Recover(stage, gang, found with { NoticedAt = now }, seen, now);
        }

        string kept = slow is null ? ""
            : $"; but {slow.Sentence}; it is kept, since {(hold is null ? "no other node is free" : hold.InWords)}";
        var told = stage.Say(new RunEvent(now, stage.Id.Run, stage.Id.Stage, stage.Attempt, "checked",
            slow is null ? EventLevel.Info : EventLevel.Warning,
            $"{Words.Nodes(gang.Untried)}, new to the gangs of this cluster: {Steps(stage)} of all ranks were made, "
                + $"{Words.Duration(seen.PhaseFor)} after the first{kept}")
        {
            Node = slow?.Node.Name ?? gang.Untried[0].Name,
            Step = seen.Latest?.Step ?? checking.First,
            Took = seen.PhaseFor,
        });
        return LiveStage.Begun(told, gang with { Untried = [] }, checking.First, checking.Launch + seen.PhaseFor, seen, now);
    }

    /// <summary>
    /// A gang that was not checked has made its first steps all the same: its nodes are new no longer. Null: not yet, or known.
    /// </summary>
    public static Decision? Tried(Stage stage, Phase.Running running, Observation seen) =>
        !running.Gang.Untried.IsEmpty && running.Gang.Nodes.All(n => MadeSteps(stage, n, seen))
            ? stage.To(running with { Gang = running.Gang with { Untried = [] } }, stage.Reason) : null;

    /// <summary>What a decision says of the nodes of its gang. Null: nothing.</summary>
    public static CheckedNodes? Told(Stage before, Stage next)
    {
        if (before.Phase.GangOrNull is not { } gang)
        {
            return null;
        }

        if (next.Avoid.FirstOrDefault(a => a.WasNew && !before.Avoid.Contains(a)) is { } swapped)
        {
            var cause = next.Incident?.Cause ?? FailureCause.RankExited;
            var failed = new NodeFailure(swapped.Node, next.Id, before.Attempt, cause, swapped.Since);
            return new CheckedNodes(next.Id, swapped.Since, [], failed, swapped.Reason);
        }

        bool passed = !gang.Untried.IsEmpty && next.Phase is Phase.Running { Gang: { Untried.IsEmpty: true } now } && now.Id == gang.Id;
        return passed ? new CheckedNodes(next.Id, next.Phase.SinceOrNull ?? gang.At, gang.Nodes, null, "") : null;
    }

    /// <summary>By the plan, in the cluster's own time.</summary>
    private static bool IsLong(Stage stage)
    {
        var (policy, work) = (stage.Policy, stage.Wish.Work);
        double left = 1 - ((double)stage.LaunchedFrom / Math.Max(1, work.TotalSteps));
        return policy.CheckSteps > 0 && (policy.CheckFrom <= TimeSpan.Zero || work.Needs.Expected * left >= policy.CheckFrom);
    }

    private static string Checks(Stage stage, GangGrant gang) => $"checks its new nodes ({Words.Nodes(gang.Untried)}): {Steps(stage)}";

    private static string Steps(Stage stage) => Words.Count(stage.Policy.CheckSteps, "step", "steps");

    private static bool MadeSteps(Stage stage, NodeId node, Observation seen)
    {
        if (seen.AgentOn(node) is not { } agent)
        {
            return false;
        }

        bool any = false;
        foreach (var rank in agent.Ranks)
        {
            if (rank.Attempt == stage.Attempt)
            {
                long from = rank.BeganAt ?? stage.LaunchedFrom;
                long wanted = Math.Min(Math.Max(1, stage.Policy.CheckSteps), Math.Max(0, stage.Wish.Work.TotalSteps - from));
                if (rank.State == RankState.Exited || (rank.State != RankState.Done && rank.Step < from + wanted))
                {
                    return false;
                }

                any = true;
            }
        }

        return any;
    }

    /// <summary>The rank of a new node that is furthest behind others of its place in its own work. Null: none is too far.</summary>
    private static Failure? Slow(Stage stage, GangGrant gang, Observation seen)
    {
        var (places, uneven) = stage.Watched.Peers;
        var known = seen.AgentsOf(gang).SelectMany(a => a.Ranks.Select(r => (a.Node, Rank: r, Own: OwnOf(stage, r))))
            .Where(r => r.Own > 0).ToList();
        var slowest = (
            from place in known.GroupBy(k => k.Rank.Rank / places)
            where place.Count() > 1
            from one in place
            where gang.Untried.Contains(one.Node)
            let peers = Middle(place.Where(p => p.Rank.Rank != one.Rank.Rank).Select(p => p.Own))
            where one.Own > TooSlow * uneven * peers && one.Own - peers > TooSlowBy.TotalSeconds
            orderby one.Own / peers descending
            select (one.Node, one.Rank, one.Own, Peers: peers)).FirstOrDefault();
        if (slowest.Rank is not { } rank)
        {
            return null;
        }

        var (own, others) = (TimeSpan.FromSeconds(slowest.Own), TimeSpan.FromSeconds(slowest.Peers));
        string sentence = $"rank {rank.Rank} on {slowest.Node} is slow in its own work from the first step: {Words.Duration(own)} a step, "
            + $"the middle of its peers {Words.Duration(others)}";
        return new Failure(FailureCause.RankSlow, sentence, "", slowest.Node, true, stage.Attempt, rank.Step, seen.Now.At, seen.Now.At)
        {
            Rank = rank.Rank,
        };
    }

    private static double OwnOf(Stage stage, RankStatus rank) =>
        rank.Attempt != stage.Attempt ? 0 : rank.OwnSeconds / Math.Max(1, rank.Step - (rank.BeganAt ?? stage.LaunchedFrom));

    private static double Middle(IEnumerable<double> of)
    {
        double[] sorted = [.. of.Order()];
        int half = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    }

    /// <summary>A node that trains, though slowly, is not given up for none: one that looks free from here.</summary>
    private static bool AnotherIsFree(GangGrant gang, Observation seen) => seen.Cluster is { } cluster
        && cluster.Nodes.Any(n => n.Health == NodeHealth.Ready && n.Slots >= gang.SlotsPerNode && !gang.Holds(n.Id)
            && cluster.Pods.All(p => p.Node != n.Id || p.Phase is PodPhase.Exited or PodPhase.Stopped));
}
