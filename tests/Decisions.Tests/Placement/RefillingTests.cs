using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Placement;

/// <summary>A gang that stays asks for what it lacks, and takes it once.</summary>
public sealed class RefillingTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly StageId Stage = new("big", "s");
    private static readonly GangGrant Gang = new(Stage, 3, [Node(0), Node(1), Node(2)], 8, Now);

    [Fact]
    public void It_is_told_of_a_free_node_and_nothing_is_granted_by_asking()
    {
        var book = new GangBook([Gang], [], []);
        var placed = Assert.IsType<PlacementDecision.Placed>(PlacementForesight.InStead(Question(4), Asks(Node(0), Node(2))));
        Assert.Equal(Gang.Id, placed.Grant.Id);
        Assert.Equal([Node(0), Node(2), Node(3)], placed.Grant.Nodes);
        Assert.Null(book.Has(Takes(Node(3))));
    }

    [Fact]
    public void What_just_failed_and_what_it_gives_up_are_no_free_nodes()
    {
        // Nothing else is there: it is told what the whole request would get, and that is no node which the gang could take.
        Assert.Null(Refilling.Find(Question(3), Asks(Node(0), Node(2))));
        var avoids = Asks(Node(0), Node(2)) with
        {
            Avoid = ImmutableDictionary<NodeId, string>.Empty.Add(Node(3), "it failed an hour ago"),
        };
        Assert.Null(Refilling.Find(Question(4), avoids));
        Assert.Equal(Node(4), Refilling.Find(Question(5), avoids)!.Grant.Nodes[^1]);
    }

    [Fact]
    public void It_may_have_a_spare_and_no_node_that_a_more_urgent_gang_is_waiting_for()
    {
        var question = Question(4);
        Assert.NotNull(Refilling.Find(question with { Policy = question.Policy with { Spares = 1 } }, Asks(Node(0), Node(2))));
        var urgent = new GangRequest(new StageId("urgent", "s"), 1, 1, 8, 1000, "t", Now, ImmutableDictionary<NodeId, string>.Empty);
        Assert.Null(Refilling.Find(question with { Waiting = [urgent] }, Asks(Node(0), Node(2))));
    }

    [Fact]
    public void It_takes_the_node_once_it_has_given_up_the_lost_one_and_nobody_has_it_twice()
    {
        var book = new GangBook([Gang], [], []).Released(Gang.Id, [Node(1)]);
        var taken = Refilling.Take(Question(4, book), Takes(Node(3)))!;
        book = book.Joined(taken.Grant);
        Assert.Equal([Node(0), Node(2), Node(3)], Assert.Single(book.Held).Nodes);
        // Asked again after a crash it is told that it has it.
        Assert.Equal(taken.Grant.Nodes, book.Has(Takes(Node(3)))!.Grant.Nodes);
        var other = new GangRequest(new StageId("small", "s"), 1, 1, 8, 0, "t", Now, ImmutableDictionary<NodeId, string>.Empty);
        var rest = PlacementQueue.Decide(Question(4, book) with { Waiting = [other] });
        Assert.Equal([Node(1)], Assert.Single(rest.Placed).Grant.Nodes);
    }

    [Fact]
    public void A_node_that_went_to_another_or_broke_is_not_taken()
    {
        var other = new GangGrant(new StageId("small", "s"), 1, [Node(3)], 8, Now);
        Assert.Null(Refilling.Take(Question(4) with { Held = [Gang, other] }, Takes(Node(3))));
        var broken = Question(4);
        broken = broken with
        {
            Cluster = broken.Cluster with
            {
                Nodes = [.. broken.Cluster.Nodes.Select(n => n.Id == Node(3) ? n with { Health = NodeHealth.NotReady } : n)],
            },
        };
        Assert.Null(Refilling.Take(broken, Takes(Node(3))));
        // Of a gang that holds nothing any more nothing is kept.
        Assert.Null(Refilling.Take(Question(4) with { Held = [] }, Takes(Node(3))));
    }

    [Fact]
    public void A_team_takes_no_node_beyond_its_quota()
    {
        var question = Question(4);
        var strict = question with
        {
            Policy = question.Policy with { Borrow = false, QuotaSlots = ImmutableDictionary<string, int>.Empty.Add("t", 24) },
        };
        Assert.Null(Refilling.Take(strict with { Held = [Gang with { Team = "t" }] }, Takes(Node(3))));
        var gaveUp = Gang with { Team = "t", Nodes = [Node(0), Node(2)] };
        Assert.NotNull(Refilling.Take(strict with { Held = [gaveUp] }, Takes(Node(3))));
    }

    private static GangRequest Asks(params ImmutableArray<NodeId> keeps) =>
        new(Stage, 4, 3, 8, 100, "t", Now, ImmutableDictionary<NodeId, string>.Empty)
        {
            InStead = Gang.Id, Restores = true, Refill = new GangRefill(keeps, 3 - keeps.Length),
        };

    private static GangRequest Takes(NodeId node) => Asks(Node(0), Node(2)) is var asks
        ? asks with { Refill = asks.Refill! with { Takes = [node] } } : asks;

    private static PlacementQuestion Question(int nodes, GangBook? book = null) => new(
        new ClusterSnapshot([.. Enumerable.Range(0, nodes).Select(i => new NodeSeen(Node(i), NodeHealth.Ready, "", 8,
            ImmutableDictionary<string, string>.Empty))], [], Now), book?.Held ?? [Gang], [], PlacementPolicy.Default, Now);

    private static NodeId Node(int index) => new($"node-{index}");
}
