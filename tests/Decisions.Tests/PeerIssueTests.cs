using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tests.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests;

/// <summary>
/// What other systems did to their users, by the name of the issue that tells of it, in the smallest form that it can happen in here. The
/// laws beside it (CheckpointLawTests, PlacementQueueTests, StagePlannerProperties) say the same of everything that can be drawn. JobSet
/// #776 and #461 are in IncidentStoreTests, Megatron-LM #5281 in CheckpointLawTests, the marker of DLRover #1749 in CheckpointShelfTests.
/// </summary>
public sealed class PeerIssueTests
{
    private static readonly DateTimeOffset Now = StageWorld.Epoch;

    [Fact]
    public void SkyPilot_10155_and_torchft_a_control_plane_that_is_blind_ends_nothing_and_launches_nothing()
    {
        var world = Trained(nodes: 2);
        var (attempt, gang) = (world.Stage.Attempt, world.Stage.Phase.GangOrNull?.Id);
        world.Apply(Happening.ClusterBlind);
        for (int i = 0; i < 5; i++)
        {
            world.Apply(Happening.TrainsUnheard);
            world.Apply(Happening.Tick);
        }

        Assert.Equal((attempt, gang), (world.Stage.Attempt, world.Stage.Phase.GangOrNull?.Id));
        Assert.Single(world.Training);
        Assert.Empty(world.Wrongs);
    }

    [Fact]
    public void Ray_46814_after_the_control_plane_and_its_agent_died_it_goes_on_from_the_newest_checkpoint()
    {
        var world = Trained();
        world.Apply(Happening.ControlPlaneDies);
        for (int i = 0; i < 10; i++)
        {
            world.Apply(Happening.TrainsUnheard);
        }

        long newest = world.Whole.Max(c => c.Step);
        world.Apply(Happening.KillAgent);
        Turn(world, 60);
        Assert.True(newest > 0 && world.Stage.Attempt > 1);
        Assert.Equal(newest, world.Stage.LaunchedFrom);
    }

    [Fact]
    public void SkyPilot_6133_a_stage_that_is_done_is_not_started_again_by_what_ends_after_it()
    {
        var world = new StageWorld();
        for (int i = 0; i < 400 && !world.Stage.Phase.Terminal; i++)
        {
            Turn(world, 1);
        }

        var done = Assert.IsType<Phase.Completed>(world.Stage.Phase);
        int attempt = world.Stage.Attempt;
        Happening[] later = [Happening.KillAgent, Happening.NodeNotReady, Happening.ControlPlaneDies, Happening.ClusterStops];
        foreach (var after in later)
        {
            world.Apply(after);
            Turn(world, 5);
        }

        Assert.Equal((done, attempt), (world.Stage.Phase, world.Stage.Attempt));
    }

    [Fact]
    public void NVRx_348_and_Kueue_14647_of_two_gangs_that_lost_a_node_one_gets_the_only_spare()
    {
        var answer = PlacementQueue.Decide(Ask(Nodes(5, lost: [1, 3]), [], 0, Wish("a", 2, true), Wish("b", 2, true)));
        var placed = Assert.Single(answer.Placed).Grant;
        Assert.Equal(2, placed.Nodes.Distinct().Count());
        Assert.Equal("b", Assert.Single(answer.Pending).Key.Run);
    }

    [Fact]
    public void Kueue_15337_a_node_that_failed_and_one_that_is_taken_from_another_are_booked_once()
    {
        var held = new GangGrant(new StageId("low", "pretrain"), 1, [Node(0), Node(1)], 8, Now);
        var question = Ask(Nodes(3, lost: [2]), [held], 0, Wish("urgent", 2, false) with { Priority = 300 }, Wish("other", 1, false));
        var answer = PlacementQueue.Decide(question);
        // The victim holds its nodes until it is gone: nobody else is granted them beside it.
        Assert.Empty(answer.Placed);
        Assert.Equal(held.Id, Assert.Single(answer.Preemptions).Victim);

        var after = PlacementQueue.Decide(question with { Held = [] });
        Assert.Equal("urgent", Assert.Single(after.Placed).Grant.Stage.Run);
        Assert.Equal(2, after.Placed[0].Grant.Nodes.Distinct().Count());
    }

    [Fact]
    public void Volcano_5805_a_gang_that_lost_a_node_holds_all_or_nothing()
    {
        var answer = PlacementQueue.Decide(Ask(Nodes(4, lost: [3]), [], 0, Wish("a", 4, true)));
        Assert.Empty(answer.Placed);
        Assert.Contains("needs 4", Assert.Single(answer.Pending).Value.Reason, StringComparison.Ordinal);
    }

    private static StageWorld Trained(int nodes = 1)
    {
        var world = new StageWorld(nodes);
        for (int i = 0; i < 100 && world.Stage.Checkpoints.Count(c => c.Usable) < 2; i++)
        {
            Turn(world, 1);
        }

        Assert.IsType<Phase.Running>(world.Stage.Phase);
        return world;
    }

    private static void Turn(StageWorld world, int times)
    {
        for (int i = 0; i < times; i++)
        {
            world.Apply(Happening.Beat);
            world.Apply(Happening.Tick);
        }
    }

    private static ImmutableArray<NodeSeen> Nodes(int count, int[] lost) => [.. Enumerable.Range(0, count).Select(i => new NodeSeen(
        Node(i), lost.Contains(i) ? NodeHealth.NotReady : NodeHealth.Ready, "no heartbeat", 8, ImmutableDictionary<string, string>.Empty))];

    private static GangRequest Wish(string run, int nodes, bool restores) => new(new StageId(run, "pretrain"), restores ? 2 : 1, nodes, 8,
        100, "default", Now, ImmutableDictionary<NodeId, string>.Empty)
    {
        Restores = restores,
    };

    private static PlacementQuestion Ask(
        ImmutableArray<NodeSeen> nodes, ImmutableArray<GangGrant> held, int spares, params ImmutableArray<GangRequest> waiting) =>
        new(new ClusterSnapshot(nodes, [], Now), held, waiting, PlacementPolicy.Default with { Spares = spares }, Now);

    private static NodeId Node(int i) => new($"node-{i}");
}
