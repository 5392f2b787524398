using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>Where a rank of a gang is reached.</summary>
public sealed record GangMember(int Rank, string Host, int Port);

/// <summary>Who is in a gang in one attempt, by rank.</summary>
/// <param name="Gang">Whose ranks may talk.</param>
/// <param name="Attempt">The term of this forming: ranks refuse those of an older one.</param>
public sealed record Roster(GangId Gang, int Attempt, ImmutableArray<GangMember> Members);

/// <summary>
/// How the ranks of a gang find each other: each opens a port and says so by its agent, and when all have, every agent is told of all. No
/// rank hosts the meeting. It is asked at each beat and remembers nothing: a control plane that comes anew in the middle gives the same
/// answer. A gang on one node its agent forms by itself.
/// </summary>
public static class Rendezvous
{
    /// <param name="beat">Of an agent of the gang.</param>
    /// <param name="agents">What all agents of the gang said last, this one included.</param>
    /// <returns>Null: nobody of that node waits, not all are there yet, or it is for the agent to form the gang.</returns>
    public static WorkerOrder.Form? For(Stage stage, AgentBeat beat, Vitals agents)
    {
        if (stage.Phase.GangOrNull is not { Nodes.Length: > 1 } gang || !beat.Ranks.Any(r => Waits(stage, r)))
        {
            return null;
        }

        var members = new GangMember?[gang.Slots];
        int missing = members.Length;
        foreach (var node in gang.Nodes)
        {
            foreach (var rank in agents.On(node) is { PeerHost.Length: > 0 } agent ? agent.Ranks : [])
            {
                if (Is(stage, rank) && rank.Rank < members.Length && members[rank.Rank] is null)
                {
                    members[rank.Rank] = new GangMember(rank.Rank, agents.On(node)!.PeerHost, rank.PeerPort);
                    missing--;
                }
            }
        }

        return missing > 0 ? null : new WorkerOrder.Form(new Roster(gang.Id, stage.Attempt, [.. members!]));
    }

    private static bool Waits(Stage stage, RankStatus rank) => Is(stage, rank) && rank.WaitsForGang;

    private static bool Is(Stage stage, RankStatus rank) =>
        rank.Attempt == stage.Attempt && rank.PeerPort > 0 && rank.State is not (RankState.Exited or RankState.Done);
}
