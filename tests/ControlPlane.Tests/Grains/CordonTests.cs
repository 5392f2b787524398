using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

public sealed class CordonTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_drained_node_loses_its_gang_to_another_node_after_a_checkpoint()
    {
        await using var world = await World.Begin();
        var left = await Trains(world);

        Assert.True(await Cluster(world).Drain(left, "a fan is loud", Ct));
        var view = await world.Until("mini", v => v.Stages[0].Attempt == 2 && v.Stages[0].State == "running");

        Assert.NotEqual(left, Assert.Single(world.Cluster.Alive).Node);
        var told = Assert.Single(world.Events, e => e.Kind == "drained");
        Assert.Contains($"{left} is drained: a fan is loud", told.Text, StringComparison.Ordinal);
        var start = Assert.IsType<WorkerOrder.Start>(world.Cluster.Agents[^1].Orders[0]);
        Assert.True(start.Assignment.ResumeFrom!.Step >= 7, "it saved when it was asked, not only at its interval");
        Assert.Equal(2, view.Stages[0].Attempt);
    }

    [Fact]
    public async Task A_cordoned_node_keeps_its_gang_and_gets_no_other_even_after_the_silo_died()
    {
        await using var world = await World.Begin();
        var kept = await Trains(world);
        Assert.True(await Cluster(world).Cordon(kept, "inspection", Ct));
        await world.KillSilo();
        await world.StartSilo();

        await world.Run("second").Submit(TestPipelines.Of("second", ("pretrain", 4000)), Ct);
        await world.Until("second", v => v.Stages[0].State == "running");

        Assert.Equal(1, (await world.View("mini")).Stages[0].Attempt);
        Assert.Contains(world.Cluster.Alive, a => a.Node == kept && a.Stage.Run == "mini");
        Assert.Contains(world.Cluster.Alive, a => a.Node != kept && a.Stage.Run == "second");
        var seen = (await Cluster(world).Describe()).Nodes.Single(n => n.Node.Id == kept).Node;
        Assert.Equal((NodeHealth.Cordoned, "inspection"), (seen.Health, seen.Reason));
    }

    [Fact]
    public async Task A_drain_that_was_only_written_is_carried_out_after_the_silo_died()
    {
        await using var world = await World.Begin();
        var left = await Trains(world);
        await Cluster(world).Drain(left, "maintenance", Ct);
        await world.KillSilo();
        await world.StartSilo();
        await Cluster(world).Describe();

        await world.Until("mini", v => v.Stages[0].Attempt == 2 && v.Stages[0].State == "running");

        Assert.NotEqual(left, Assert.Single(world.Cluster.Alive).Node);
    }

    [Fact]
    public async Task With_every_node_cordoned_a_stage_waits_and_says_so_until_one_is_given_back()
    {
        await using var world = await World.Begin();
        foreach (string node in (string[])["node-0", "node-1"])
        {
            await Cluster(world).Cordon(new NodeId(node), "inspection", Ct);
        }

        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 12)), Ct);
        await world.Until("mini", v => v.Stages[0].Reason.Contains("cordoned", StringComparison.Ordinal));
        Assert.Empty(world.Cluster.Agents);
        Assert.True(await Cluster(world).Uncordon(new NodeId("node-1"), Ct));

        Assert.Equal("completed", (await world.Until("mini", v => v.Ended)).State);
        Assert.All(world.Cluster.Agents, a => Assert.Equal("node-1", a.Node.Name));
    }

    [Fact]
    public async Task A_cluster_that_can_make_no_pods_says_why_where_people_look()
    {
        await using var world = await World.Begin();
        world.Cluster.Refuses = "the worker program is missing";
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 12)), Ct);
        var waits = await world.Until("mini", v => v.Stages[0].Reason.Contains("the last try failed", StringComparison.Ordinal));
        Assert.EndsWith("the last try failed: the worker program is missing", waits.Stages[0].Reason, StringComparison.Ordinal);
        world.Cluster.Refuses = null;
        var ended = await world.Until("mini", v => v.Ended);
        Assert.Equal("completed", ended.State);
        Assert.DoesNotContain("the last try failed", ended.Stages[0].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_gang_that_another_process_placed_while_this_one_was_stopped_is_no_leftover()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 12)), Ct);
        await world.Until("mini", v => v.Ended);
        var stage = new StageId("mini", "pretrain");
        var (placed, left) = (Grant(99, "node-0"), Grant(98, "node-1"));
        world.Storage.Replace<ClusterRecord>(
            world.Storage.Keys.Single(k => k.StartsWith("cluster", StringComparison.Ordinal)), r => r with { Held = [placed] });
        await world.Cluster.CreatePods(placed, Ct);
        await world.Cluster.CreatePods(left, Ct);
        while (world.Cluster.Alive.Any(a => a.Gang == left.Id))
        {
            world.Clock.Advance(TimeSpan.FromMilliseconds(500));
            await Task.Yield();
        }

        Assert.Equal(placed.Id, Assert.Single(world.Cluster.Alive).Gang);

        GangGrant Grant(int gang, string node) => new(stage, gang, [new NodeId(node)], 1, world.Clock.GetUtcNow());
    }

    [Fact]
    public async Task No_such_node_is_an_answer()
    {
        await using var world = await World.Begin();
        var nowhere = new NodeId("node-9");

        Assert.False(await Cluster(world).Cordon(nowhere, "", Ct));
        Assert.False(await Cluster(world).Uncordon(nowhere, Ct));
        Assert.False(await Cluster(world).Drain(nowhere, "", Ct));
    }

    private static IClusterGrain Cluster(World world) => world.Grains.GetGrain<IClusterGrain>(IClusterGrain.Key);

    private static async Task<NodeId> Trains(World world)
    {
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 4000)), Ct);
        await world.Until("mini", v => v.Stages[0].State == "running" && v.Stages[0].Step >= 7);
        return Assert.Single(world.Cluster.Alive).Node;
    }
}
