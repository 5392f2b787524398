using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Placement;

/// <summary>A question's consequences are those of the deed, and a move by hand holds.</summary>
public sealed class PlacementForesightTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static readonly PlacementPolicy Preempting = new(ImmutableDictionary<string, int>.Empty, Borrow: false, PreemptAbove: 100);

    [Fact]
    public void A_gang_moved_to_the_front_is_not_given_way_for_those_it_was_put_before()
    {
        var question = Question(2, Waits("low", 1, 0)) with { Held = [Holds("a", "node-0000", 100), Holds("b", "node-0001", 100)] };
        question = question with { Waiting = [Waits("high", 1, 100), Waits("low", 1, 0)] };
        var (moves, refusal) = HandMoves.Add([], PlacementQueue.Decide(question).Order, new StageId("low", "s"), null, "mine");
        Assert.Null(refusal);
        // A node becomes free: the moved one gets it, and keeps it although the other is more urgent.
        var placed = PlacementQueue.Decide(question with { Moves = moves, Held = [question.Held[0]] }).Placed.Single().Grant;
        Assert.Equal(("low", "high"), (placed.Stage.Run, placed.Ahead.Single().Run));
        var after = PlacementQueue.Decide(question with { Held = [question.Held[0], placed], Waiting = [Waits("high", 1, 100)] });
        Assert.Empty(after.Preemptions);
        // Who comes later and was not passed is not bound by it.
        var later = PlacementQueue.Decide(question with { Held = [question.Held[0], placed], Waiting = [Waits("later", 1, 100)] });
        Assert.Equal("low", later.Preemptions.Single().Stage.Run);
    }

    [Fact]
    public void No_gang_that_a_person_put_before_others_ever_gives_way_to_one_of_them() =>
        Gen.Select(Gen.Int[1, 12], Gen.Select(Gen.Int[1, 6], Gen.Int[0, 3]).Array[2, 14], Gen.Int[0, 1000]).Sample((nodes, gangs, pick) =>
        {
            var waiting = gangs.Select((g, i) => Waits($"r{i}", g.Item1, g.Item2 * 100)).ToImmutableArray();
            var question = Question(nodes, [.. waiting]);
            var (moves, _) = HandMoves.Add([], PlacementQueue.Decide(question).Order, waiting[pick % waiting.Length].Stage, null, "mine");
            var first = PlacementQueue.Decide(question with { Moves = moves });
            var held = first.Placed.Select(p => p.Grant).ToImmutableArray();
            var rest = waiting.RemoveAll(w => held.Any(h => h.Stage == w.Stage));
            var second =
                PlacementQueue.Decide(
                    question with { Held = held, Waiting = rest, Moves = moves.RemoveAll(m => held.Any(h => h.Stage == m.Stage)) });
            Assert.DoesNotContain(second.Preemptions,
                p => moves.Any(m => m.Stage == p.Stage && p.For is { } heir && m.Ahead.Contains(heir)));
        });

    [Fact]
    public void Draining_a_full_cluster_says_how_many_GPUs_will_stand()
    {
        var question = Question(2) with
        {
            Held = [Holds("big", "node-0000", 100) with { Nodes = [new NodeId("node-0000"), new NodeId("node-0001")] }],
        };
        var told = PlacementForesight.Drain(question, new NodeId("node-0001")).Consequences;
        Assert.Contains("big/s saves a checkpoint and stops on all its 2 nodes. There is no room for all of it then: "
            + "it goes on with fewer nodes if its layout can, or 16 GPUs of work will stand",
            told[0], StringComparison.Ordinal);
        var roomy = PlacementForesight.Drain(Question(3) with { Held = question.Held }, new NodeId("node-0001")).Consequences;
        Assert.Contains("starts again elsewhere at once", roomy[0], StringComparison.Ordinal);
        Assert.Equal("There is no node named nope. `dsops cluster` lists them.",
            PlacementForesight.Drain(question, new NodeId("nope")).Impossible);
        Assert.Equal("There is no node named node-0010. Did you mean node-0000? `dsops cluster` lists them.",
            PlacementForesight.Drain(question, new NodeId("node-0010")).Impossible);
    }

    [Fact]
    public void Moving_says_whether_it_starts_whom_it_passes_and_that_some_can_never_start()
    {
        var question = Question(1, Waits("high", 1, 100), Waits("low", 1, 0), Waits("huge", 9, 0)) with
        {
            Held = [Holds("a", "node-0000", 100)],
        };
        var waits = PlacementForesight.Move(question, new StageId("low", "s"), null);
        Assert.Contains(waits.Consequences, c => c.StartsWith("low/s still waits:", StringComparison.Ordinal));
        Assert.Contains("1 gang ahead of it waits behind it.", waits.Consequences);
        Assert.StartsWith("huge/s can never start", PlacementForesight.Move(question, new StageId("huge", "s"), null).Impossible,
            StringComparison.Ordinal);
        var starts = PlacementForesight.Move(question with { Held = [] }, new StageId("low", "s"), null);
        Assert.StartsWith("low/s starts at once on node-0000", starts.Consequences[0], StringComparison.Ordinal);
    }

    [Fact]
    public void A_move_that_is_foreseen_to_start_a_gang_starts_it() =>
        Gen.Select(Gen.Int[1, 12], Gen.Select(Gen.Int[1, 14], Gen.Int[0, 3]).Array[2, 14], Gen.Int[0, 1000]).Sample((nodes, gangs, pick) =>
        {
            var waiting = gangs.Select((g, i) => Waits($"r{i}", g.Item1, g.Item2 * 100)).ToImmutableArray();
            var question = Question(nodes, [.. waiting]);
            var stage = waiting[pick % waiting.Length].Stage;
            var foreseen = PlacementForesight.Move(question, stage, null);
            var (moves, refusal) = HandMoves.Add([], PlacementQueue.Decide(question).Order, stage, null, "");
            bool starts = refusal is null && PlacementQueue.Decide(question with { Moves = moves }).Placed.Any(p => p.Grant.Stage == stage);
            Assert.Equal(starts,
                foreseen.Impossible.Length == 0 && foreseen.Consequences[0].Contains("starts at once", StringComparison.Ordinal));
        });

    private static PlacementQuestion Question(int nodes, params GangRequest[] waiting) =>
        new(new ClusterSnapshot(Fabric.H800(nodes), [], Now), [], [.. waiting], Preempting, Now);

    private static GangRequest Waits(string run, int nodes, int priority) =>
        new(new StageId(run, "s"), 1, nodes, 8, priority, "t", Now, ImmutableDictionary<NodeId, string>.Empty);

    private static GangGrant Holds(string run, string node, int priority) =>
        new(new StageId(run, "s"), 1, [new NodeId(node)], 8, Now) { Priority = priority, Team = "t" };
}
