using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

public sealed class AssignmentTests
{
    [Fact]
    public void Of_2048_ranks_each_agent_is_told_of_its_own_eight_and_all_are_told_once()
    {
        var stage = new StageWorld().Stage with { Attempt = 1 };
        var gang = new GangGrant(stage.Id, 1, [.. Enumerable.Range(0, 256).Select(n => new NodeId($"node-{n}"))], 8, StageWorld.Epoch);
        stage = stage with { Phase = new Phase.Starting(gang, StageWorld.Epoch) };

        var orders = gang.Nodes.Select(node => Assert.IsType<WorkerOrder.Start>(WorkerOrders.For(stage, node, 1, [])).Assignment).ToList();

        Assert.All(orders.Zip(gang.Nodes), told => Assert.All(told.First.Ranks, r => Assert.Equal(told.Second, r.Node)));
        Assert.All(orders, told => Assert.Equal(2048, told.WorldSize));
        Assert.Equal(Enumerable.Range(0, 2048), orders.SelectMany(o => o.Ranks.Select(r => r.Rank)));
        Assert.All(orders, told => Assert.Equal(Enumerable.Range(0, 8), told.Ranks.Select(r => r.LocalRank)));
    }
}
