using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>A node that failed a stage is left alone for an hour, by the clock of the wall, which may be set meanwhile.</summary>
public sealed class AvoidedNodesTests
{
    private static readonly NodeId Bad = new("node-0");
    private readonly StageWorld world = new();

    /// <summary>A clock that was set back by hours would make the hour last for as long: such a mark is forgotten instead.</summary>
    [Theory]
    [InlineData(0, true)]
    [InlineData(59, true)]
    [InlineData(61, false)]
    [InlineData(-59, true)]
    [InlineData(-61, false)]
    [InlineData(-60 * 24 * 365, false)]
    public void It_is_avoided_for_an_hour_and_for_no_longer_whatever_the_clock_does(int minutesAgo, bool avoided)
    {
        var stage = world.Stage with
        {
            Avoid = [new(Bad, "node lost", StageWorld.Epoch.AddMinutes(-minutesAgo))],
        };
        Assert.Equal(avoided, AskedFor(stage, StageWorld.Epoch).Avoid.ContainsKey(Bad));
    }

    [Fact]
    public void The_next_gang_goes_elsewhere_and_a_later_one_comes_back()
    {
        Run();
        Assert.Equal([Bad], world.Stage.Phase.GangOrNull!.Nodes);
        world.Apply(Happening.NodeNotReady);
        world.Apply(Happening.KillAgent);
        Until(() => !world.Stage.Avoid.IsEmpty);
        world.Apply(Happening.NodeReady);
        Run();
        Assert.NotEqual([Bad], world.Stage.Phase.GangOrNull!.Nodes);
        Assert.Equal(Bad, Assert.Single(world.Stage.Avoid).Node);
        Assert.Equal([Bad], Placed(world.Stage, after: TimeSpan.FromHours(2)));
        Assert.NotEqual([Bad], Placed(world.Stage, after: TimeSpan.FromMinutes(30)));
    }

    /// <summary>Where a gang that is asked for some time later goes, with all nodes free.</summary>
    private ImmutableArray<NodeId> Placed(Stage stage, TimeSpan after)
    {
        var now = world.Now + after;
        var request = AskedFor(stage, now);
        var nodes = new ClusterSnapshot(
            [.. Enumerable.Range(0, 3).Select(i => new NodeSeen(new NodeId($"node-{i}"), NodeHealth.Ready, "", 1,
                ImmutableDictionary<string, string>.Empty))], [], now);
        return Assert.Single(PlacementQueue.Decide(new(nodes, [], [request], PlacementPolicy.Default, now)).Placed).Grant.Nodes;
    }

    /// <summary>The nodes of its next attempt.</summary>
    private GangRequest AskedFor(Stage stage, DateTimeOffset now)
    {
        var seen = Vitals.Fresh(Instant.OfOneClock(now)).Observe(stage.Watched, null, Instant.OfOneClock(now));
        return StagePlanner.RequestFor(StagePlanner.Decide(stage with { Phase = new StageWorld().Stage.Phase }, seen, now).Next)!;
    }

    private void Run() => Until(() => world.Stage.Phase is Phase.Running && world.Training.Any());

    private void Until(Func<bool> holds)
    {
        for (int turn = 0; !holds(); turn++)
        {
            Assert.True(turn < 200, $"still {world.Stage.Phase}");
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
        }
    }
}
