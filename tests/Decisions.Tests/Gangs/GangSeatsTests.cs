using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Recipes;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Gangs;

public sealed class GangSeatsTests
{
    /// <summary>
    /// Two pipeline steps of two replicas, each a node of two ranks that share the experts: whoever is lost, its twin stands in for it.
    /// </summary>
    [Theory]
    [InlineData(0, "n1 n2", true)]
    [InlineData(1, "n0 n2", true)]
    [InlineData(2, "n0 n3", true)]
    [InlineData(3, "n0 n2", true)]
    public void Each_part_of_the_model_stays_where_it_is(int lost, string nodes, bool fit) =>
        Assert.Equal((nodes, fit), Seats(4, 2, lost, new ParallelLayout { Pipeline = 2, Expert = 2 }, after: null, 2));

    [Fact]
    public void Where_a_part_has_no_twin_left_the_first_nodes_go_on_and_load_it()
    {
        // Both replicas of a pipeline step are on one node.
        Assert.Equal(("n1", false), Seats(2, 2, lost: 0, new ParallelLayout { Pipeline = 2 }, after: null, 1));
        // Fewer ranks share the experts, each with more of them.
        Assert.Equal(("n1 n2", false), Seats(4, 1, lost: 0, new ParallelLayout { Expert = 4 }, new ParallelLayout { Expert = 2 }, 2));
    }

    [Theory]
    [InlineData(1, 1, "0", true)]
    [InlineData(1, 1, "0 1 2", true)]
    [InlineData(1, 1, "0 1 2 3", false)]
    [InlineData(2, 1, "0", true)]
    [InlineData(2, 1, "0 2", true)]
    [InlineData(2, 1, "2 3", false)]
    [InlineData(1, 4, "1", true)]
    [InlineData(1, 8, "1", false)]
    public void What_lost_nodes_held_others_hold_too_where_there_are_replicas_of_it(int pipeline, int expert, string lost, bool held) =>
        Assert.Equal(held, GangSeats.HeldElsewhere(new ParallelLayout { Pipeline = pipeline, Expert = expert }, nodes: 4, slots: 2,
            lost.Split(' ').Select(int.Parse).ToHashSet()));

    private static (string Nodes, bool Fit) Seats(
        int nodes, int slots, int lost, ParallelLayout before, ParallelLayout? after, int count)
    {
        var gang = new GangGrant(new StageId("v3", "pretrain"), 1, [.. Enumerable.Range(0, nodes).Select(n => new NodeId($"n{n}"))], slots,
            new DateTimeOffset(2026, 1, 2, 8, 0, 0, TimeSpan.Zero));
        var (seats, fit) = GangSeats.Of(gang, gang.Nodes.RemoveAt(lost), before, after ?? before, count);
        return (string.Join(' ', seats), fit);
    }
}
