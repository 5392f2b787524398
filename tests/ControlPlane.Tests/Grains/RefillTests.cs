using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

/// <summary>A gang that stays takes a node in: the queue has it in writing before anybody hears of it.</summary>
public sealed class RefillTests
{
    private static readonly StageId Big = new("big", "pretrain");
    private static readonly NodeId Lost = new("node-0");
    private static readonly NodeId Spare = new("node-1");

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_node_is_taken_once_and_stays_taken_after_the_silo_died()
    {
        await using var world = await World.Begin();
        var gang = Assert.IsType<PlacementDecision.Placed>(await Cluster(world).Request(Asks(Big), Ct)).Grant;
        Assert.Equal([Lost], gang.Nodes);
        var wants = Asks(Big) with
        {
            Gang = 2,
            InStead = gang.Id,
            Restores = true,
            Refill = new GangRefill([], 1) { Takes = [Spare] },
        };
        // Asking which there would be takes nothing.
        var only = wants with { Refill = wants.Refill! with { Takes = [] } };
        Assert.Equal([Spare], Assert.IsType<PlacementDecision.Placed>(await Cluster(world).Request(only, Ct)).Grant.Nodes);
        Assert.Equal([Lost], Held(world));

        Assert.Equal([Lost, Spare], Assert.IsType<PlacementDecision.Placed>(await Cluster(world).Request(wants, Ct)).Grant.Nodes);
        await world.KillSilo();
        await world.StartSilo();
        Assert.Equal([Lost, Spare], Held(world));
        // Said again it is the same answer, and nobody else gets the node.
        Assert.Equal([Lost, Spare], Assert.IsType<PlacementDecision.Placed>(await Cluster(world).Request(wants, Ct)).Grant.Nodes);
        await Cluster(world).Release(gang.Id, [Lost], Ct);
        var small = Asks(new StageId("small", "pretrain"));
        Assert.Equal([Lost], Assert.IsType<PlacementDecision.Placed>(await Cluster(world).Request(small, Ct)).Grant.Nodes);
        Assert.IsType<PlacementDecision.Pending>(await Cluster(world).Request(Asks(new StageId("third", "pretrain")), Ct));
        await Cluster(world).Release(gang.Id, [], Ct);
        Assert.IsType<PlacementDecision.Placed>(await Cluster(world).Request(Asks(new StageId("third", "pretrain")), Ct));
    }

    /// <summary>As it is written.</summary>
    private static ImmutableArray<NodeId> Held(World world)
    {
        var record = JsonNode.Parse(world.Storage.Json(world.Storage.Keys.Single(
            k => k.StartsWith("cluster", StringComparison.Ordinal))))!;
        return Assert.Single(record["Held"]!.AsArray())!["Nodes"]!.Deserialize<ImmutableArray<NodeId>>();
    }

    private static GangRequest Asks(StageId stage) =>
        new(stage, 1, 1, 1, 100, "t", DateTimeOffset.UnixEpoch, ImmutableDictionary<NodeId, string>.Empty);

    private static IClusterGrain Cluster(World world) => world.Grains.GetGrain<IClusterGrain>(IClusterGrain.Key);
}
