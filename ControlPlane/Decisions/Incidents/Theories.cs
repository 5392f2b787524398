using System.Collections.Immutable;
using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Incidents;

/// <summary>What a failure was told apart from: each theory that the evidence speaks against, with the evidence.</summary>
public static class Theories
{
    private static readonly TimeSpan JustHeard = TimeSpan.FromSeconds(10);

    public static ImmutableArray<RefusedTheory> Refuse(GangGrant gang, Failure failure, Observation seen)
    {
        var rank = seen.AgentsOf(gang).SelectMany(a => a.Ranks)
            .FirstOrDefault(r => r.Rank == failure.Rank && r.Attempt == failure.Attempt);
        return [.. new[] { Machine(failure, seen), Silence(failure, seen), Memory(rank), Peer(failure, seen, gang), Program(failure),
            Numbers(failure, seen) }.OfType<RefusedTheory>()];
    }

    private static RefusedTheory? Machine(Failure failure, Observation seen)
    {
        bool ready = seen.Cluster?.Nodes.Any(n => n.Id == failure.Node && n.Health == NodeHealth.Ready) ?? false;
        return failure.NodeIsSuspect || !ready || seen.AgentOn(failure.Node) is not { } agent || seen.SilenceOf(agent) > JustHeard ? null
            : new RefusedTheory("the machine broke",
                $"{failure.Node} is ready, and its agent was heard {Words.Duration(seen.SilenceOf(agent))} before");
    }

    private static RefusedTheory? Silence(Failure failure, Observation seen) =>
        failure.Cause is not (FailureCause.NodeLost or FailureCause.AgentLost) || seen.Cluster is null ? null
            : new RefusedTheory("only we did not hear it", failure.Cause == FailureCause.NodeLost
                ? "the cluster calls the node not ready, and the agent is silent too: two witnesses"
                : "the cluster reports the end of its pod, or others of the gang were heard all the time");

    private static RefusedTheory? Memory(RankStatus? rank) => rank?.ExitCode is not { } code || rank.MemoryKill.Length > 0
        || RankEnd.Judge(rank).Class == ExitClasses.HostMemory ? null
        : new RefusedTheory("memory ran out", code == ExitCodes.Signal + 9
            ? "the kernel's out-of-memory counters did not move when it was killed" : "nothing that it printed and no signal says so");

    private static RefusedTheory? Peer(Failure failure, Observation seen, GangGrant gang)
    {
        if (failure.Rank is not { } first || gang.Slots < 2)
        {
            return null;
        }

        int others = seen.AgentsOf(gang).SelectMany(a => a.Ranks)
            .Count(r => r.Rank != first && r.Attempt == failure.Attempt && (r.State == RankState.Exited || r.LostPeer is not null));
        return new RefusedTheory("another rank took it along", others == 0 ? "no other rank has ended"
            : $"{Words.Count(others, "other rank has", "other ranks have")} ended or lost a peer, later or saying that they lost one");
    }

    private static RefusedTheory? Program(Failure failure) => failure.Cause switch
    {
        FailureCause.RankExited when failure.Signature.Length == 0 =>
            new RefusedTheory("a fault of the program", "it was ended from outside, or by its machine"),
        FailureCause.AgentLost or FailureCause.NodeLost =>
            new RefusedTheory("a fault of the program", "no rank had ended before its agent was gone"),
        _ => null,
    };

    private static RefusedTheory? Numbers(Failure failure, Observation seen) =>
        failure.Broke is not null || seen.Latest is not { } last || !double.IsFinite(last.Loss) || !double.IsFinite(last.GradNorm) ? null
            : new RefusedTheory("the numbers broke", $"loss and gradient norm of step {last.Step} are finite");
}
