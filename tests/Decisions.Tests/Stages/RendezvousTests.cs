using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tests.Health;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>Ranks of several nodes find each other by what their agents say, in whatever order they say it.</summary>
public sealed class RendezvousTests
{
    private const int PerNode = 2;
    private static readonly NodeId[] Nodes = [new("node-0"), new("node-1"), new("node-2")];
    private static readonly Instant Now = new RunningStage().Now;

    [Fact]
    public void A_gang_forms_once_the_last_rank_is_there_and_all_nodes_are_told_the_same() =>
        Gen.Shuffle(Enumerable.Range(0, Nodes.Length * PerNode).ToArray()).Sample(order =>
        {
            var (stage, vitals, ready) = (Launched(), Vitals.Fresh(Now), new HashSet<int>());
            foreach (int rank in order)
            {
                ready.Add(rank);
                var beat = Beat(stage, rank / PerNode, ready, sequence: ready.Count);
                vitals = vitals.Take(beat, stage.Watched, false, Now);
                Assert.Equal(ready.Count == order.Length, Rendezvous.For(stage, beat, vitals) is not null);
            }

            Roster[] told = [.. Nodes.Select((_, node) => Rendezvous.For(stage, Beat(stage, node, ready, 99), vitals)!.Roster)];
            Assert.All(told, roster => Assert.Equal(told[0].Members, roster.Members));
            Assert.Equal(
                Enumerable.Range(0, order.Length).Select(r => new GangMember(r, $"10.0.0.{r / PerNode}", 1000 + r)), told[0].Members);
            Assert.Equal(stage.Attempt, told[0].Attempt);
        });

    [Theory]
    [InlineData("older attempt")]
    [InlineData("not ready")]
    [InlineData("exited")]
    public void A_rank_that_is_not_there_keeps_the_gang_waiting(string why)
    {
        var stage = Launched();
        var beats = Nodes.Select((_, node) => Beat(stage, node, [.. Enumerable.Range(0, 6)], 1)).ToArray();
        var ranks = beats[1].Ranks;
        beats[1] = beats[1] with
        {
            Ranks = ranks.SetItem(0, why switch
            {
                "older attempt" => ranks[0] with { Attempt = stage.Attempt - 1 },
                "not ready" => ranks[0] with { PeerPort = 0 },
                _ => ranks[0] with { State = RankState.Exited },
            }),
        };
        var vitals = beats.Aggregate(Vitals.Fresh(Now), (v, beat) => v.Take(beat, stage.Watched, false, Now));
        Assert.All(beats, beat => Assert.Null(Rendezvous.For(stage, beat, vitals)));
    }

    /// <summary>It remembers nothing: half of the nodes have been told, and the other half asks one that has just begun.</summary>
    [Fact]
    public void A_control_plane_that_comes_anew_in_the_middle_gives_the_same_answer()
    {
        var stage = Launched();
        var beats = Nodes.Select((_, node) => Beat(stage, node, [.. Enumerable.Range(0, 6)], 1)).ToArray();
        beats[0] = beats[0] with { Ranks = [.. beats[0].Ranks.Select(r => r with { WaitsForGang = false })] };
        var anew = beats.Aggregate(Vitals.Fresh(Now), (v, beat) => v.Take(beat, stage.Watched, false, Now));
        Assert.Null(Rendezvous.For(stage, beats[0], anew));
        Assert.Equal(6, Rendezvous.For(stage, beats[1], anew)?.Roster.Members.Length);
    }

    [Fact]
    public void A_gang_of_one_node_is_left_to_its_agent()
    {
        var stage = Launched(nodes: 1);
        var beat = Beat(stage, 0, [0, 1], 1);
        Assert.Null(Rendezvous.For(stage, beat, Vitals.Fresh(Now).Take(beat, stage.Watched, false, Now)));
    }

    private static Stage Launched(int nodes = 3)
    {
        var trained = new RunningStage().Stage;
        var gang = trained.Phase.GangOrNull! with { Nodes = [.. Nodes[..nodes]], SlotsPerNode = PerNode };
        return trained with { Phase = new Phase.Restarting(gang, Now.At), Attempt = trained.Attempt + 1 };
    }

    private static AgentBeat Beat(Stage stage, int node, HashSet<int> ready, long sequence)
    {
        ImmutableArray<RankStatus> ranks =
        [
            .. Enumerable.Range(node * PerNode, PerNode).Where(ready.Contains).Select(rank =>
                new RankStatus(rank, 100 + rank, RankState.Starting, stage.Attempt, 0, "waiting for its gang", TimeSpan.Zero, null, "", 0)
                {
                    PeerPort = 1000 + rank, WaitsForGang = true,
                }),
        ];
        return new AgentBeat(Nodes[node], $"agent-{node}", stage.Id, stage.Attempt, sequence, ranks, [], [], [], [],
            ImmutableDictionary<string, double>.Empty, [], [])
        {
            PeerHost = $"10.0.0.{node}",
        };
    }
}
