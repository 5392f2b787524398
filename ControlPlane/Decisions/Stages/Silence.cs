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
    public static Silence? Of(Stage stage, Observation seen) => stage.Phase is not (Phase.Starting or Phase.Running or Phase.Restarting)
        || stage.Phase.GangOrNull is not { } gang ? null : OfAgent(stage, gang, seen) ?? OfRank(stage, gang, seen);

    private static Silence? OfAgent(Stage stage, GangGrant gang, Observation seen)
    {
        string until = $"given up at {Decisions.Words.Duration(stage.Policy.SilentFor)}";
        foreach (var pod in (seen.Cluster?.Pods ?? []).Where(p => p.Halted && p.Gang == gang.Id))
        {
            var heard = seen.AgentOn(pod.Node) is { } agent ? seen.SilenceOf(agent) : TimeSpan.Zero;
            return new Silence($"the agent on {pod.Node} (pid {pod.Pid}) is stopped, by SIGSTOP or a debugger:"
                + $" `kill -CONT {pod.Pid}` wakes it ({until})", heard)
            { Node = pod.Node.Name };
        }

        var silent = seen.AgentsOf(gang).Select(a => (a.Node, For: Watched(seen, seen.SilenceOf(a)))).DefaultIfEmpty().MaxBy(a => a.For);
        return silent.For <= SpokenOf ? null
            : new Silence($"no word from the agent on {silent.Node} for {Decisions.Words.Duration(silent.For)} ({until})", silent.For)
            { Node = silent.Node.Name };
    }

    private static Silence? OfRank(Stage stage, GangGrant gang, Observation seen)
    {
        var ranks = seen.AgentsOf(gang)
            .SelectMany(a => a.Ranks.Select(r => (a.Node, Rank: r, For: r.SinceProgress + Watched(seen, seen.SilenceOf(a)))))
            .Where(r => r.Rank.Attempt == stage.Attempt && r.Rank.State is RankState.Starting or RankState.Training or RankState.Saving)
            .ToList();
        if (ranks.FirstOrDefault(r => r.Rank.Halted) is { Rank: not null } halted)
        {
            string limit = Decisions.Words.Duration(Limit(stage, seen, halted.Rank));
            return new Silence($"rank {halted.Rank.Rank} on {halted.Node} (pid {halted.Rank.Pid}) is stopped, by SIGSTOP or a debugger:"
                + $" `kill -CONT {halted.Rank.Pid}` wakes it (a hang at {limit})", halted.For)
            { Node = halted.Node.Name };
        }

        var slowest = ranks.Where(r => r.Rank.State != RankState.Starting).DefaultIfEmpty().MaxBy(r => r.For);
        if (slowest.Rank is not { } rank || slowest.For <= Unusual(seen))
        {
            return null;
        }

        string hang = Decisions.Words.Duration(Limit(stage, seen, rank));
        return new Silence($"no step for {Decisions.Words.Duration(slowest.For)} (a hang at {hang})", slowest.For)
        { Node = slowest.Node.Name };
    }

    private static TimeSpan Limit(Stage stage, Observation seen, RankStatus rank) =>
        rank.State == RankState.Starting ? stage.Policy.HangLimitBeforeFirstStep
            : FaultDetector.HangLimit(stage.Policy, seen.LongestStepSeconds);

    private static TimeSpan Unusual(Observation seen)
    {
        var slow = TimeSpan.FromSeconds(Math.Min((seen.LongestStepSeconds ?? 0) * SlowerThanLongest, 86_400));
        return slow > SpokenOf ? slow : SpokenOf;
    }

    private static TimeSpan Watched(Observation seen, TimeSpan silent) => silent < seen.WatchedFor ? silent : seen.WatchedFor;
}
