using System.Collections.Immutable;
using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Health;

/// <summary>
/// Says what an attempt cannot go on with, from what was seen and nothing else. Two kinds of evidence: what somebody is certain of
/// (an agent saw its rank exit; the cluster saw a pod end) counts at once, and silence counts only after a grace that begins anew
/// with each control plane. What is unknown is no evidence: a cluster that cannot be asked and a pod in phase Unknown end nothing.
/// </summary>
public static class FaultDetector
{
    /// <summary>What a rank does is known only from a beat this fresh.</summary>
    internal static readonly TimeSpan Fresh = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Ranks that lost a peer wait so long to be held against it: the agent of the one that ended tells how within a beat, a second.
    /// </summary>
    internal static readonly TimeSpan CulpritWithin = TimeSpan.FromSeconds(2);

    /// <summary>
    /// So large a part of a gang's agents that are silent at once, while the cluster shows their pods running on sound nodes, speaks of
    /// what lies between them and us. As Kubernetes' node controller has it, which evicts nothing where 55 % of a zone and at least three
    /// nodes went at once (--unhealthy-zone-threshold).
    /// </summary>
    private const double BurstShare = 0.55;

    private const int BurstAgents = 3;

    /// <summary>Of the ten seconds after which a stopped rank is to be named, the next beat and the look at it take up to two.</summary>
    private static readonly TimeSpan HaltedFor = TimeSpan.FromSeconds(8);

    public static Failure? Find(WatchedStage stage, GangGrant gang, Observation seen, DateTimeOffset now) =>
        PodEnded(stage, gang, seen, now)
        ?? RankExited(stage, gang, seen, now)
        ?? RankHung(stage, gang, seen, now)
        ?? AgentSilent(stage, gang, seen, now)
        ?? StartTimedOut(stage, gang, seen, now);

    private static Failure? PodEnded(WatchedStage stage, GangGrant gang, Observation seen, DateTimeOffset now)
    {
        if (seen.Cluster is not { } cluster || !cluster.Pods.Any(p => p.Phase == PodPhase.Exited && p.Gang == gang.Id))
        {
            return null;
        }

        var pods = PodsOf(gang, cluster);
        foreach (var node in gang.Nodes)
        {
            if (pods.GetValueOrDefault(node) is not { Phase: PodPhase.Exited } pod)
            {
                continue;
            }

            string how = pod.ExitCode is { } code ? RankEnd.HowItEnded(code) : "ended";
            // A broken node names its cause. Where it only repeats its pod's words, they are this same exit told twice.
            string why = cluster.Nodes.FirstOrDefault(n => n.Id == node) is { Health: NodeHealth.NotReady, Reason.Length: > 0 } broken
                && broken.Reason != pod.Reason ? $": {broken.Reason}" : pod.Cause.Length > 0 ? $": {pod.Cause}" : "";
            var exit = pod.Said.IsDefaultOrEmpty ? null : ExitScan.JudgeUndone(pod.Said, pod.ExitCode);
            string said = exit is null ? "" : $"; it printed '{RankEnd.OneLine(exit.Line.Length > 0 ? exit.Line : pod.Said[0])}'";
            return Of(stage, FailureCause.AgentLost, $"the agent on {node} {how} at step {StepOf(stage, seen)}{why}{said}", "", node, true,
                seen, now - (seen.AgentOn(node) is { } agent ? seen.SilenceOf(agent) : TimeSpan.Zero), now) with
            { Exit = exit };
        }

        return null;
    }

    private static Failure? RankExited(WatchedStage stage, GangGrant gang, Observation seen, DateTimeOffset now)
    {
        // One crash aborts the collectives of its peers, which end too: the first by time is the one to blame, not the first by node.
        // Clocks of agents differ: who says that another rank ended first is believed before its time is.
        var ended = Ended(stage, gang, seen).OrderBy(x => x.Rank.LostPeer is not null || RankEnd.IsVictim(x.Rank))
            .ThenByDescending(x => x.Ago).ToList();
        if (ended is not [var first, .. var others])
        {
            return null;
        }

        if (first.Rank.LostPeer is { } lost)
        {
            return first.Ago < CulpritWithin ? null : PeerLost(stage, gang, first.Rank, lost, ended.Count, now - first.Ago, now);
        }

        var failure = RankEnd.Of(stage, first.Agent.Node, first.Rank, now - first.Ago, now);
        // Those that only wait for the gang to form again have lost nothing.
        var victims = others.Where(x => x.Rank.State == RankState.Exited && (x.Ago < first.Ago || RankEnd.IsVictim(x.Rank))).ToList();
        return victims.Count == 0 || failure.Cause != FailureCause.RankExited ? failure
            : failure with { Sentence = $"{failure.Sentence}; {Victims(victims.Count, victims.Select(v => v.Agent.Node))}" };
    }

    /// <summary>Thousands of ranks are looked at each second, and hardly ever has one ended: nothing is made for the others.</summary>
    private static List<(AgentVitals Agent, RankStatus Rank, TimeSpan Ago)> Ended(
        WatchedStage stage, GangGrant gang, Observation seen)
    {
        List<(AgentVitals Agent, RankStatus Rank, TimeSpan Ago)> ended = [];
        foreach (var agent in seen.AgentsOf(gang))
        {
            foreach (var rank in agent.Ranks)
            {
                if ((rank.State == RankState.Exited || rank.LostPeer is not null)
                    && rank.Attempt == stage.Attempt && rank.LocalTry >= stage.LocalTry)
                {
                    ended.Add((agent, rank, seen.SilenceOf(agent) + BrokenFor(rank)));
                }
            }
        }

        return ended;
    }

    private static TimeSpan BrokenFor(RankStatus rank) =>
        rank.State == RankState.Exited ? rank.SinceExit ?? TimeSpan.Zero : rank.SinceProgress;

    /// <summary>All that ended did so because another was gone, and its own agent has not said so.</summary>
    private static Failure PeerLost(
        WatchedStage stage, GangGrant gang, RankStatus victim, int lost, int victims, DateTimeOffset happened, DateTimeOffset now)
    {
        var node = gang.Nodes[Math.Min(lost / Math.Max(1, gang.SlotsPerNode), gang.Nodes.Length - 1)];
        string lostIt = Words.Count(victims, "other rank lost it", "other ranks lost it");
        string sentence = $"rank {lost} on {node} was gone at step {victim.Step}: {lostIt}, and its own agent has not said how";
        return new Failure(FailureCause.RankExited, sentence, "", node, true, stage.Attempt, victim.Step, happened, now)
        { Exit = RankEnd.Judge(victim), Rank = lost };
    }

    /// <summary>Whoever looks into the log of one of these finds a broken collective, and not its cause.</summary>
    private static string Victims(int ranks, IEnumerable<NodeId> on) =>
        $"{Words.Count(ranks, "other rank", "other ranks")} on {Words.Nodes([.. on.Distinct()])} ended after it,"
        + $" as its {(ranks == 1 ? "victim" : "victims")}";

    private static Failure? RankHung(WatchedStage stage, GangGrant gang, Observation seen, DateTimeOffset now)
    {
        var (limit, halted) = (HangLimit(stage.Policy, seen.LongestStepSeconds), HaltedLimit(seen));
        // One hung rank stops all at their next collective: the one that is behind is the one to name.
        var hung = Stuck().OrderByDescending(x => x.Rank.Halted).ThenBy(x => x.Rank.CollectiveSequence)
            .ThenByDescending(x => x.Rank.SinceProgress).FirstOrDefault();
        if (hung.Rank is not { } rank)
        {
            return null;
        }

        string doing = rank.Halted ? "the process is stopped, by SIGSTOP or a debugger"
            : rank.Doing.Length == 0 ? "it did not say what it was doing" : $"phase {rank.Doing}";
        string sentence = $"rank {rank.Rank} on {hung.Agent.Node} made no progress for "
            + $"{Words.Duration(rank.SinceProgress)} at step {rank.Step}"
            + $" (limit {Words.Duration(Limit(rank))}; {doing})";
        return Of(stage, FailureCause.RankHung, sentence, $"hung at step {rank.Step}", hung.Agent.Node, false, seen,
            now - seen.SilenceOf(hung.Agent) - rank.SinceProgress, now) with
        { Step = rank.Step, Rank = rank.Rank };

        // Thousands are looked at each second, and hardly ever does one hang.
        List<(AgentVitals Agent, RankStatus Rank)> Stuck()
        {
            List<(AgentVitals Agent, RankStatus Rank)> stuck = [];
            var start = stage.Policy.HangLimitBeforeFirstStep;
            var least = Shortest(limit, halted, start);
            foreach (var agent in seen.AgentsOf(gang))
            {
                foreach (var r in agent.Ranks)
                {
                    if (r.SinceProgress > least && r.Attempt == stage.Attempt && r.SinceProgress > Limit(r)
                        && seen.SilenceOf(agent) < Fresh)
                    {
                        stuck.Add((agent, r));
                    }
                }
            }

            return stuck;
        }

        // Not heard of is silence, which is the agent's; whoever has ended cannot hang.
        TimeSpan Limit(RankStatus r) => r.State.Match(
            unknown: TimeSpan.MaxValue, starting: stage.Policy.HangLimitBeforeFirstStep, training: AtWork(r), saving: AtWork(r),
            done: TimeSpan.MaxValue, exited: TimeSpan.MaxValue);

        TimeSpan AtWork(RankStatus r) => r.Halted && gang.Slots > 1 && halted < limit ? halted : limit;
    }

    /// <summary>
    /// That the kernel has stopped a process is known, and not inferred from silence: three usual steps and ten seconds are time enough for
    /// whoever looks at it with a debugger to be told of, and a gang of thousands is not to wait longer. Usual, and not the longest: the
    /// first step after a launch takes many times the others.
    /// </summary>
    public static TimeSpan HaltedLimit(Observation seen) =>
        TimeSpan.FromSeconds(Math.Min((seen.UsualStepSeconds ?? 0) * 3, 86_400)) + HaltedFor;

    /// <summary>A multiple of the longest step, with a floor; without a timed step a fixed, long limit.</summary>
    public static TimeSpan HangLimit(RecoveryPolicy policy, double? longestStepSeconds)
    {
        if (longestStepSeconds is not { } longest)
        {
            return policy.HangLimitBeforeFirstStep;
        }

        var learnt = TimeSpan.FromSeconds(Math.Min(longest * policy.HangFactor, 86_400));
        return learnt > policy.HangFloor ? learnt : policy.HangFloor;
    }

    private static Failure? AgentSilent(WatchedStage stage, GangGrant gang, Observation seen, DateTimeOffset now)
    {
        if (seen.Cluster is not { } cluster)
        {
            return null;
        }

        var policy = stage.Policy;
        var shortest = Shortest(policy.NodeNotReadyFor, policy.PodMissingFor, policy.SilentFor);
        // One agent speaks for a node: as a rule all of them have just been heard.
        if (seen.AgentsOf(gang).Count(a => Silence(stage.Launch, seen, seen.SilenceOf(a)) <= shortest) == gang.Nodes.Length)
        {
            return null;
        }

        bool ours = SilentAtOnce(stage, gang, seen) is not null;
        var heard = seen.AgentsOf(gang).ToDictionary(a => a.Node, seen.SilenceOf);
        var pods = PodsOf(gang, cluster);
        foreach (var node in gang.Nodes)
        {
            var launch = gang.Newcomers.Contains(node) ? Launch.NewGang : stage.Launch;
            var silent = Silence(launch, seen, heard.TryGetValue(node, out var since) ? since : null);
            if (silent <= shortest)
            {
                continue;
            }

            string quiet = $"its agent has said nothing for {Words.Duration(silent)}";
            var pod = pods.GetValueOrDefault(node);
            bool notReady = cluster.Nodes.Any(n => n.Id == node && n.Health == NodeHealth.NotReady);
            (FailureCause, string)? found = pod switch
            {
                _ when notReady && silent > policy.NodeNotReadyFor => (FailureCause.NodeLost, $"{node} is not ready and {quiet}"),
                null when launch != Launch.NewGang && silent > policy.PodMissingFor =>
                    (FailureCause.AgentLost, $"the pod on {node} is gone and {quiet}"),
                { Phase: PodPhase.Running } when silent > policy.SilentFor && !ours =>
                    (FailureCause.AgentLost, $"the pod on {node} runs but {quiet} (limit {Words.Duration(policy.SilentFor)})"),
                _ => null,
            };
            if (found is var (cause, sentence))
            {
                return Of(stage, cause, sentence, "", node, true, seen, now - silent, now);
            }
        }

        return null;
    }

    /// <summary>
    /// Agents of the gang that are silent though nothing else speaks against them, where they are so many that the fault is taken for our
    /// own. Null: each is looked at for itself. Nodes that are not ready and pods that have ended are the cluster's word, and are not among
    /// them; a gang whose agents have never come times out.
    /// </summary>
    public static int? SilentAtOnce(WatchedStage stage, GangGrant gang, Observation seen)
    {
        if (seen.Cluster is not { } cluster || stage.Launch == Launch.NewGang || gang.Nodes.Length < BurstAgents)
        {
            return null;
        }

        var heard = seen.AgentsOf(gang).Where(a => Silence(stage.Launch, seen, seen.SilenceOf(a)) <= Fresh).Select(a => a.Node).ToHashSet();
        if (gang.Nodes.Length - heard.Count < Math.Max(BurstAgents, BurstShare * gang.Nodes.Length))
        {
            return null;
        }

        var pods = PodsOf(gang, cluster);
        var broken = cluster.Nodes.Where(n => n.Health == NodeHealth.NotReady).Select(n => n.Id).ToHashSet();
        int silent = gang.Nodes.Count(n => !heard.Contains(n) && !broken.Contains(n)
            && pods.GetValueOrDefault(n) is { Phase: PodPhase.Running or PodPhase.Unknown, Halted: false });
        return silent >= BurstAgents && silent >= BurstShare * gang.Nodes.Length ? silent : null;
    }

    private static Failure? StartTimedOut(WatchedStage stage, GangGrant gang, Observation seen, DateTimeOffset now)
    {
        // Our own absence is not the gang's: the time begins anew with each control plane.
        var waited = stage.Launch != Launch.None ? seen.PhaseWatchedFor : TimeSpan.Zero;
        if (waited <= stage.Policy.StartWithin || seen.Cluster is null)
        {
            return null;
        }

        var here = seen.AgentsOf(gang).Select(a => a.Node).ToHashSet();
        var absent = gang.Nodes.Where(n => !here.Contains(n)).ToImmutableArray();
        string who = absent.IsEmpty ? "" : $"; no agent has come from {string.Join(", ", absent)}";
        return Of(stage, FailureCause.StartTimedOut,
            $"no first step {Words.Duration(waited)} after the launch (limit {Words.Duration(stage.Policy.StartWithin)}){who}",
            $"no first step from {stage.LaunchedFrom}", absent.IsEmpty ? gang.Nodes[0] : absent[0], !absent.IsEmpty, seen,
            now - waited, now);
    }

    private static Failure Of(
        WatchedStage stage, FailureCause cause, string sentence, string signature, NodeId node, bool suspect, Observation seen,
        DateTimeOffset happened, DateTimeOffset now) =>
        new(cause, sentence, signature, node, suspect, stage.Attempt, StepOf(stage, seen), happened < now ? happened : now, now);

    private static Dictionary<NodeId, PodSeen> PodsOf(GangGrant gang, ClusterSnapshot cluster)
    {
        var pods = new Dictionary<NodeId, PodSeen>();
        foreach (var pod in cluster.Pods)
        {
            if (pod.Gang == gang.Id)
            {
                pods.TryAdd(pod.Node, pod);
            }
        }

        return pods;
    }

    private static TimeSpan Shortest(TimeSpan a, TimeSpan b, TimeSpan c) => a < b ? (a < c ? a : c) : b < c ? b : c;

    private static long StepOf(WatchedStage stage, Observation seen) =>
        Math.Max(stage.LaunchedFrom, (seen.Latest ?? stage.Latest)?.Step ?? 0);

    /// <param name="heard">How long ago its agent was heard; null: never, and so not since the pods were made or we began to
    /// listen.</param>
    private static TimeSpan Silence(Launch launch, Observation seen, TimeSpan? heard)
    {
        var silent = heard ?? (launch == Launch.NewGang ? seen.PhaseFor : seen.WatchedFor);
        return silent < seen.WatchedFor ? silent : seen.WatchedFor;
    }
}
