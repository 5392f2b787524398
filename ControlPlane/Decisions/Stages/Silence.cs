using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// Silence that nothing is ended for yet, and that a person who looks has to see: amber, with the moment at which it becomes a failure.
/// </summary>
/// <param name="Words">"no step for 23 s (a hang at 60 s)".</param>
public sealed record Silence(string Words, TimeSpan For)
{
    /// <summary>Whose it is.</summary>
    public string Node { get; init; } = "";

    /// <summary>Ten missed beats. Less is a busy machine, more would be longer than a person waits for a page to move.</summary>
    public static readonly TimeSpan SpokenOf = TimeSpan.FromSeconds(10);

    /// <summary>Where steps take long by themselves, so much longer than the longest: the next one may be a little slower.</summary>
    private const double SlowerThanLongest = 1.5;

    /// <summary>The worst silence of the gang; null: everybody is heard.</summary>
    public static Silence? Of(Stage stage, Observation seen) =>
        stage.Phase is not (Phase.Starting or Phase.Checking or Phase.Running or Phase.Restarting)
        || stage.Phase.GangOrNull is not { } gang ? null : OfAgent(stage, gang, seen) ?? OfRank(stage, gang, seen);

    private static Silence? OfAgent(Stage stage, GangGrant gang, Observation seen)
    {
        foreach (var pod in (seen.Cluster?.Pods ?? []).Where(p => p.Halted && p.Gang == gang.Id))
        {
            var heard = seen.AgentOn(pod.Node) is { } agent ? seen.SilenceOf(agent) : TimeSpan.Zero;
            return new Silence($"the agent on {pod.Node} (pid {pod.Pid}) is stopped, by SIGSTOP or a debugger:"
                + $" `kill -CONT {pod.Pid}` wakes it ({GivenUp(stage)})", heard)
            { Node = pod.Node.Name };
        }

        var silent = (Node: default(NodeId), For: TimeSpan.Zero);
        foreach (var agent in seen.AgentsOf(gang))
        {
            var quiet = Watched(seen, seen.SilenceOf(agent));
            silent = quiet > silent.For ? (agent.Node, quiet) : silent;
        }

        if (silent.For > SpokenOf && FaultDetector.SilentAtOnce(stage.Watched, gang, seen) is { } many)
        {
            return new Silence($"no word from {many} of {gang.Nodes.Length} agents at once for {Decisions.Words.Duration(silent.For)}: "
                + "taken for a fault between them and here, since the cluster shows their pods running; nothing is ended for it",
                silent.For);
        }

        return silent.For <= SpokenOf ? null
            : new Silence($"no word from the agent on {silent.Node} for {Decisions.Words.Duration(silent.For)} ({GivenUp(stage)})",
                silent.For)
            { Node = silent.Node.Name };
    }

    private static string GivenUp(Stage stage) => $"given up at {Decisions.Words.Duration(stage.Policy.SilentFor)}";

    /// <summary>Thousands of ranks are looked at each second, and hardly ever is one silent: nothing is made for the others.</summary>
    private static Silence? OfRank(Stage stage, GangGrant gang, Observation seen)
    {
        (NodeId Node, RankStatus? Rank, TimeSpan For) slowest = default;
        foreach (var agent in seen.AgentsOf(gang))
        {
            var unheard = Watched(seen, seen.SilenceOf(agent));
            foreach (var of in agent.Ranks)
            {
                if (of.Attempt != stage.Attempt || of.State is not (RankState.Starting or RankState.Training or RankState.Saving))
                {
                    continue;
                }

                var still = of.SinceProgress + unheard;
                if (of.Halted)
                {
                    return Halted(stage, seen, agent.Node, of, still);
                }

                if (of.State != RankState.Starting && (slowest.Rank is null || still > slowest.For))
                {
                    slowest = (agent.Node, of, still);
                }
            }
        }

        if (slowest.Rank is not { } rank || slowest.For <= Unusual(seen))
        {
            return null;
        }

        string hang = Decisions.Words.Duration(Limit(stage, seen, rank));
        return new Silence($"no step for {Decisions.Words.Duration(slowest.For)} (a hang at {hang})", slowest.For)
        { Node = slowest.Node.Name };
    }

    private static Silence Halted(Stage stage, Observation seen, NodeId node, RankStatus rank, TimeSpan still) =>
        new($"rank {rank.Rank} on {node} (pid {rank.Pid}) is stopped, by SIGSTOP or a debugger:"
            + $" `kill -CONT {rank.Pid}` wakes it (a hang at {Decisions.Words.Duration(Limit(stage, seen, rank))})", still)
        { Node = node.Name };

    private static TimeSpan Limit(Stage stage, Observation seen, RankStatus rank)
    {
        if (rank.State == RankState.Starting)
        {
            return stage.Policy.HangLimitBeforeFirstStep;
        }

        var limit = FaultDetector.HangLimit(stage.Policy, seen.LongestStepSeconds);
        return rank.Halted && stage.Phase.GangOrNull is { Slots: > 1 } && FaultDetector.HaltedLimit(seen) is var halted && halted < limit
            ? halted : limit;
    }

    private static TimeSpan Unusual(Observation seen)
    {
        var slow = TimeSpan.FromSeconds(Math.Min((seen.LongestStepSeconds ?? 0) * SlowerThanLongest, 86_400));
        return slow > SpokenOf ? slow : SpokenOf;
    }

    private static TimeSpan Watched(Observation seen, TimeSpan silent) => silent < seen.WatchedFor ? silent : seen.WatchedFor;
}
