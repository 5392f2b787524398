using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Placement;

/// <summary>A switch or a rack fails under a large gang: several nodes go at once, and one answer replaces them all.</summary>
public sealed class LostNodesTests
{
    private const int Nodes = 256, Lost = 8;

    /// <summary>`lost-nodes` of the benchmarks plays a thousand.</summary>
    private static readonly int Seeds = Lives.Of(300);

    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Eight_nodes_lost_at_once_from_256_are_replaced_by_the_eight_spares_in_one_answer_whatever_else_waits()
    {
        for (int seed = 1; seed <= Seeds; seed++)
        {
            var random = new Random(seed);
            var policy = PlacementPolicy.Default with { Spares = Lost };
            var machines = Fabric.H800(Nodes + Lost);
            var gang = Only(PlacementQueue.Decide(Ask(machines, [], policy, Wish(1, restores: false))));
            var lost = Draw(gang.Nodes, random);
            ImmutableArray<NodeSeen> seen =
                [.. machines.Select(n => lost.Contains(n.Id) ? n with { Health = NodeHealth.NotReady, Reason = "no heartbeat" } : n)];
            // Its own nodes were given back, and others wait for whatever becomes free.
            var wish = Wish(2, restores: true) with
            {
                Avoid = ImmutableDictionary<NodeId, string>.Empty.Add(lost.First(), "node lost"),
            };
            var waiting = Enumerable.Range(0, random.Next(6)).Select(i => new GangRequest(
                new StageId($"other-{i}", "s"), 1, random.Next(1, 64), 8, 100, "default", Now.AddMinutes(-i - 1),
                ImmutableDictionary<NodeId, string>.Empty)).ToImmutableArray();
            var answer = PlacementQueue.Decide(Ask(seen, [], policy, [.. waiting, wish]));

            var next = answer.Placed.Single(p => p.Grant.Stage == wish.Stage).Grant;
            var had = gang.Nodes.ToImmutableHashSet();
            Assert.True(next.Nodes.Distinct().Count() == Nodes, $"seed {seed}: a node is used twice");
            Assert.True(!next.Nodes.Any(lost.Contains), $"seed {seed}: a lost node is placed on");
            Assert.True(had.Except(lost).IsSubsetOf(next.Nodes), $"seed {seed}: a healthy node was left");
            Assert.True(next.Nodes.Count(n => !had.Contains(n)) == Lost, $"seed {seed}: another number of spares than nodes lost");
            Assert.True(answer.Placed.Length == 1, $"seed {seed}: a node is granted twice");
        }
    }

    [Fact]
    public void A_ninth_is_waited_for_and_the_reason_says_so()
    {
        var policy = PlacementPolicy.Default with { Spares = Lost };
        var machines = Fabric.H800(Nodes + Lost);
        ImmutableArray<NodeSeen> seen = [.. machines.Select((n, i) => i % 29 == 0 && i / 29 < Lost + 1
            ? n with { Health = NodeHealth.NotReady, Reason = "no heartbeat" } : n)];
        var answer = PlacementQueue.Decide(Ask(seen, [], policy, Wish(2, restores: true)));
        Assert.Empty(answer.Placed);
        Assert.Contains("255", answer.Pending.Values.Single().Reason, StringComparison.Ordinal);
    }

    private static GangRequest Wish(int number, bool restores) => new(
        new StageId("v3", "pretrain"), number, Nodes, 8, 100, "default", Now, ImmutableDictionary<NodeId, string>.Empty)
    {
        GroupNodes = 8, Restores = restores,
    };

    private static PlacementQuestion Ask(
        ImmutableArray<NodeSeen> nodes, ImmutableArray<GangGrant> held, PlacementPolicy policy,
        params ImmutableArray<GangRequest> waiting) =>
        new(new ClusterSnapshot(nodes, [], Now), held, waiting, policy, Now);

    private static GangGrant Only(PlacementAnswer answer) => Assert.Single(answer.Placed).Grant;

    private static ImmutableHashSet<NodeId> Draw(ImmutableArray<NodeId> from, Random random)
    {
        var all = from.ToArray();
        random.Shuffle(all);
        return [.. all.Take(Lost)];
    }
}
