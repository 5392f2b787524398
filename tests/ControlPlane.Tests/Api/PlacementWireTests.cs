using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

public sealed class PlacementWireTests
{
    /// <summary>Each rank hears of its own node's ranks alone, and all have to cut the gang alike.</summary>
    [Theory]
    [InlineData(1, 2)]
    [InlineData(2, 2)]
    [InlineData(4, 1)]
    public void Ranks_are_told_on_how_many_nodes_their_gang_is_placed(int nodes, int ranksPerNode)
    {
        var pipeline = new PipelineSpec
        {
            Name = "told", Resources = new ResourceSpec { Nodes = nodes, RanksPerNode = ranksPerNode },
            Stages = [new StageSpec { Name = "pretrain", Recipe = new StageRecipe.Pretraining() }],
        };
        var grant = new GangGrant(
            new StageId("told", "pretrain"), 1, [.. Enumerable.Range(0, nodes).Select(n => new NodeId($"node-{n}"))], ranksPerNode,
            default);
        Assert.All(grant.Nodes, node =>
        {
            var told = new Assignment(grant.Stage, 1, grant.RanksOn(node), grant.Slots, pipeline, null, null, null)
                .ToProto(new CheckpointRoot("checkpoints"));
            Assert.Equal(nodes, told.Plan.Layout.Nodes);
            Assert.Equal(nodes * ranksPerNode, told.WorldSize);
        });
    }
}
