using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

/// <summary>A long launch on new nodes, in a silo: the bad one is swapped before it goes on, and the node's record says so.</summary>
public sealed class NewNodeTests
{
    [Fact]
    public async Task A_new_node_whose_rank_ends_in_the_first_two_steps_is_swapped_and_stands_in_the_record_of_nodes()
    {
        await using var world = await World.Begin();
        await world.Run("long").Submit(Long("long", steps: 12), TestContext.Current.CancellationToken);
        await world.Until("long", v => v.Stages[0].State is "starting" or "checking" && world.Cluster.Alive.Any(a => a.Rank is not null));
        var bad = world.Cluster.Alive.Single();
        bad.KillRank(1, "the GPU answered nonsense");
        var trains = await world.Until("long", v => v.Stages[0] is { State: "running" });

        var good = world.Cluster.Alive.Single();
        Assert.NotEqual(bad.Node, good.Node);
        Assert.Empty(trains.Stages[0].RestartsByCause);
        Assert.Equal(["checked"], world.Kinds("one").Where(k => k is "checked" or "restarting"));
        var told = Assert.Single(world.Events, e => e.Kind == "rank-exited");
        Assert.Contains($"{bad.Node} is new to the gangs of this cluster", told.Text, StringComparison.Ordinal);
        Assert.Contains("costs the run none of its restarts", told.Text, StringComparison.Ordinal);

        var nodes = await Nodes(world);
        Assert.Equal((NodeTestResult.Suspect, "the first steps of long/one"), (nodes[bad.Node].Test!.Result, nodes[bad.Node].Test!.Why));
        Assert.Contains("the GPU answered nonsense", nodes[bad.Node].Test!.Reason, StringComparison.Ordinal);
        Assert.True(nodes[bad.Node] is { Untried: true, LemonScore: > 0 });
        Assert.True(nodes[good.Node] is { Untried: false, Test: null });
        await world.Until("long", v => v.Ended);

        // What is known outlives the silo, and the next long launch on a known node waits for nothing.
        await world.KillSilo();
        await world.StartSilo();
        Assert.False((await Nodes(world))[good.Node].Untried);
        await world.Run("next").Submit(Long("next", steps: 12), TestContext.Current.CancellationToken);
        await world.Until("next", v => v.Ended);
        Assert.DoesNotContain(world.Events, e => e.Run == "next" && e.Kind == "checked");
    }

    [Fact]
    public async Task A_node_that_was_away_is_checked_again()
    {
        await using var world = await World.Begin();
        world.Cluster.Health["node-1"] = NodeHealth.NotReady;
        await world.Run("first").Submit(Long("first", steps: 12), TestContext.Current.CancellationToken);
        await world.Until("first", v => v.Ended);
        Assert.Single(world.Events, e => e.Kind == "checked");
        world.Cluster.Health["node-0"] = NodeHealth.NotReady;
        for (int i = 0; i < 100 && !(await Nodes(world))[new NodeId("node-0")].Untried; i++)
        {
            await world.Step();
        }

        world.Cluster.Health["node-0"] = NodeHealth.Ready;
        await world.Run("second").Submit(Long("second", steps: 12), TestContext.Current.CancellationToken);
        await world.Until("second", v => v.Ended);
        Assert.Single(world.Events, e => e.Run == "second" && e.Kind == "checked");
    }

    private static RunSubmission Long(string name, int steps)
    {
        var of = TestPipelines.Of(name, ("one", steps));
        return of with { Pipeline = of.Pipeline with { Recovery = new RecoveryPolicy { CheckFrom = TimeSpan.Zero } } };
    }

    private static async Task<Dictionary<NodeId, NodeSeen>> Nodes(World world) =>
        (await world.Grains.GetGrain<IClusterGrain>(IClusterGrain.Key).Describe()).Nodes.ToDictionary(n => n.Node.Id, n => n.Node);
}
