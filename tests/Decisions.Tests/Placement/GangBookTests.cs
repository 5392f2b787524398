using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Placement;

/// <summary>The book of who holds and who waits, which the cluster's grain and the simulation keep alike.</summary>
public sealed class GangBookTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Who_asks_again_keeps_its_place_and_a_newer_attempt_takes_the_older_ones()
    {
        var book = GangBook.Empty.Asked(Waits("a", 1)).Asked(Waits("b", 1));
        Assert.Equal(book, book.Asked(Waits("a", 1)));
        Assert.Equal(["b/1", "a/2"], book.Asked(Waits("a", 2)).Waiting.Select(w => $"{w.Stage.Run}/{w.Id.Number}"));
    }

    [Fact]
    public void What_was_granted_is_told_again_and_no_hand_moves_it_any_more()
    {
        var move = new HandMove(new StageId("a", "s"), [new StageId("b", "s")], "mine");
        var book = (GangBook.Empty with { Moves = [move] }).Asked(Waits("a", 1)).Asked(Waits("b", 1));
        Assert.Null(book.HeldBy(Waits("a", 1)));
        book = book.Granted([new PlacementDecision.Placed(Holds("a", 1, "n-0", "n-1"), "there is room")]);
        Assert.Equal("holds n-0, n-1", book.HeldBy(Waits("a", 1))?.Reason);
        Assert.Null(book.HeldBy(Waits("a", 2)));
        Assert.Equal(("b", 0), (Assert.Single(book.Waiting).Stage.Run, book.Moves.Length));
    }

    [Fact]
    public void A_gang_gives_back_the_nodes_that_it_names_or_all()
    {
        var book = GangBook.Empty with { Held = [Holds("a", 1, "n-0", "n-1"), Holds("b", 1, "n-2")], Waiting = [Waits("c", 3)] };
        Assert.Equal(["n-1"], book.Released(Holds("a", 1).Id, [new NodeId("n-0")]).Held[0].Nodes.Select(n => n.Name));
        Assert.Equal(book, book.Released(Holds("a", 1).Id, [new NodeId("n-2")]));
        Assert.Equal("b", Assert.Single(book.Released(Holds("a", 1).Id, []).Held).Stage.Run);
        Assert.Empty(book.Released(Waits("c", 3).Id, []).Waiting);
        Assert.Equal(book, book.Released(Holds("a", 2).Id, []));
    }

    [Fact]
    public void Whatever_is_asked_granted_and_released_nobody_holds_and_waits_at_once_and_a_stage_waits_once() =>
        Gen.Select(Gen.Int[0, 3], Gen.Int[1, 3], Gen.Int[0, 2]).Array[1, 30].Sample(acts =>
        {
            var book = GangBook.Empty;
            foreach (var (run, number, act) in acts)
            {
                var request = Waits($"r{run}", number);
                book = act switch
                {
                    0 => book.HeldBy(request) is null ? book.Asked(request) : book,
                    1 => book.Granted([.. book.Waiting.Take(1).Select(w => new PlacementDecision.Placed(
                        new GangGrant(w.Stage, w.Id.Number, [new NodeId("n")], 8, Now), ""))]),
                    _ => book.Released(request.Id, []),
                };
                Assert.Empty(book.Held.Select(h => h.Id).Intersect(book.Waiting.Select(w => w.Id)));
                Assert.Equal(book.Waiting.Length, book.Waiting.Select(w => w.Stage).Distinct().Count());
                Assert.Equal(book.Held.Length, book.Held.Select(h => h.Id).Distinct().Count());
            }
        });

    [Fact]
    public void A_node_that_is_out_until_a_gang_is_gone_is_sound_without_it_and_no_other_is()
    {
        var gone = Holds("a", 1).Id;
        var nodes = Fabric.H800(3).SetItem(0, Fabric.H800(3)[0] with { Health = NodeHealth.NotReady, OutUntilGone = gone })
            .SetItem(1, Fabric.H800(3)[1] with { Health = NodeHealth.NotReady });
        var seen = new ClusterSnapshot(nodes, [], Now);
        Assert.Equal([NodeHealth.Ready, NodeHealth.NotReady, NodeHealth.Ready], seen.Without(gone).Nodes.Select(n => n.Health));
        Assert.Equal(NodeHealth.NotReady, seen.Without(Holds("a", 2).Id).Nodes[0].Health);
    }

    private static GangRequest Waits(string run, int attempt) =>
        new(new StageId(run, "s"), attempt, 1, 8, 100, "t", Now, ImmutableDictionary<NodeId, string>.Empty);

    private static GangGrant Holds(string run, int gang, params string[] nodes) =>
        new(new StageId(run, "s"), gang, [.. nodes.Select(n => new NodeId(n))], 8, Now);
}
