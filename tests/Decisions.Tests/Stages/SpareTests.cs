using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>A gang of two of three nodes loses one: the third takes its place, and the other is the same agent as before.</summary>
public sealed class SpareTests
{
    private readonly StageWorld world = new(nodes: 2, slots: 2);
    private readonly GangGrant whole;
    private readonly NodeId spare;

    public SpareTests()
    {
        Until(() => world.Stage.Phase is Phase.Running && world.Stage.Checkpoints.Length > 0);
        whole = world.Stage.Phase.GangOrNull!;
        spare = new[] { 0, 1, 2 }.Select(i => new NodeId($"node-{i}")).Single(n => !whole.Holds(n));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_free_node_takes_the_place_of_a_lost_one_and_the_others_keep_their_agents(int lost)
    {
        var (gone, kept) = (whole.Nodes[lost], AgentOn(whole.Nodes[1 - lost]));
        int attempt = world.Stage.Attempt;
        AgentOn(gone).Die();
        Until(() => world.Stage.Phase is Phase.Running && world.Training.Any());
        var gang = world.Stage.Phase.GangOrNull!;
        Assert.Equal((whole.Id, attempt + 1), (gang.Id, world.Stage.Attempt));
        // In the lost one's place, so that the ranks of the other have the numbers that they had.
        Assert.Equal(spare, gang.Nodes[lost]);
        Assert.Equal(kept.Node, gang.Nodes[1 - lost]);
        Assert.Empty(gang.Newcomers);
        Assert.Same(kept, AgentOn(kept.Node));
        Assert.True(kept.Alive);
        Assert.Equal([kept.Node, spare], Assert.Single(world.Held).Nodes.OrderBy(n => n != kept.Node));
        Assert.False(world.History.Exists(s => s.Attempt > attempt && s.Phase is not (Phase.Restarting or Phase.Running)));
        var told = world.History.SelectMany(s => s.Outbox).Distinct().ToList();
        Assert.Contains(told, e => e.Kind == "agent-lost" && e.Text.Contains(
            $"; {spare} takes the place of {gone}, the others keep their processes; goes on from step", StringComparison.Ordinal));
        Assert.Contains(told, e => e.Kind == "joined" && e.Node == spare.Name);
        Assert.Equal($"{spare} takes the place of {gone}, the others keep their processes", world.Stage.NewestIncident!.Decision!.Remedy);
    }

    [Fact]
    public void Nothing_is_launched_and_nobody_comes_before_the_cluster_is_certain_of_the_lost_node()
    {
        world.Uncertain = true;
        AgentOn(whole.Nodes[1]).Die();
        Until(() => world.Stage.Phase is Phase.Restarting);
        for (int turn = 0; turn < 20; turn++)
        {
            world.Apply(Happening.Beat);
            world.Apply(Happening.Tick);
            var restarting = Assert.IsType<Phase.Restarting>(world.Stage.Phase);
            Assert.Equal((whole.Nodes[1], spare), (restarting.Leaving.Single(), restarting.Joining.Single()));
            Assert.DoesNotContain(world.Live, a => a.Node == spare || a.Launched == world.Stage.Attempt);
            Assert.Equal(whole.Nodes, Assert.Single(world.Held).Nodes);
            Assert.IsType<WorkerOrder.Continue>(WorkerOrders.For(world.Stage, whole.Nodes[0], world.Stage.Attempt, []));
            Assert.IsType<WorkerOrder.Stop>(WorkerOrders.For(world.Stage, whole.Nodes[1], world.Stage.Attempt, []));
        }

        world.Uncertain = false;
        Until(() => world.Stage.Phase is Phase.Running && world.Training.Any());
        Assert.Equal(whole.Id, world.Stage.Phase.GangOrNull!.Id);
    }

    [Fact]
    public void A_node_that_went_to_another_gang_meanwhile_leaves_a_new_gang()
    {
        world.Uncertain = true;
        AgentOn(whole.Nodes[1]).Die();
        Until(() => world.Stage.Phase is Phase.Restarting);
        var joining = world.Stage with
        {
            Outbox = [],
            Phase = (Phase.Restarting)world.Stage.Phase with { Leaving = [] },
        };
        // What it asks for names the node, and is granted to nobody else.
        var request = Assert.IsType<GangRequest>(StagePlanner.RequestFor(joining));
        Assert.Equal([spare], request.Refill!.Takes);
        var seen = world.Vitals.Observe(joining.Watched, null, world.Seen) with
        {
            Placement = new PlacementDecision.Placed(whole with { Nodes = [whole.Nodes[0], new NodeId("node-7")] }, "another is free"),
        };
        var decision = StagePlanner.Decide(joining, seen, world.Now);
        var stopping = Assert.IsType<Phase.Stopping>(decision.Next.Phase);
        Assert.IsType<Ending.Relaunch>(stopping.Then);
        Assert.Equal($"{spare}, which was to come to gang {whole.Gang}, is not free any more", decision.Reason);
        Assert.Contains(decision.Next.Outbox, e => e.Kind == "not-joined");
    }

    [Fact]
    public void One_that_fails_before_it_has_trained_leaves_a_new_gang()
    {
        AgentOn(whole.Nodes[1]).Die();
        Until(() => world.Live.Any(a => a.Node == spare));
        AgentOn(spare).Die();
        Until(() => world.Stage.Phase is Phase.Stopping or Phase.Queued or Phase.Starting);
        Until(() => world.Stage.Phase is Phase.Running && world.Training.Any());
        Assert.NotEqual(whole.Id, world.Stage.Phase.GangOrNull!.Id);
    }

    [Fact]
    public void One_whose_agent_is_still_on_its_way_is_not_missed_until_the_limit_of_a_start()
    {
        AgentOn(whole.Nodes[1]).Die();
        Until(() => world.Live.Any(a => a.Node == spare));
        var stage = world.Stage;
        var gang = stage.Phase.GangOrNull!;
        Assert.Equal([spare], gang.Newcomers);
        var begun = Vitals.Fresh(world.Seen).Written(News.None, stage.Watched, world.Seen);
        Assert.Null(Found(stage.Policy.StartWithin - TimeSpan.FromSeconds(1)));
        var late = Found(stage.Policy.StartWithin + TimeSpan.FromSeconds(1));
        Assert.Equal((FailureCause.StartTimedOut, spare, true), (late!.Cause, late.Node, late.NodeIsSuspect));

        // Its pod is still to be made, and the other's agent beats.
        Failure? Found(TimeSpan after)
        {
            var now = new Instant(world.Now + after, world.Seen.Up + after);
            var other = world.Vitals.Agents.Single(a => a.Node == whole.Nodes[0]) with { Heard = now, Ranks = [] };
            var cluster = new ClusterSnapshot([], [new PodSeen(gang.Id, whole.Nodes[0], PodPhase.Running, 1, null, "")], now.At);
            var seen = begun.Observe(stage.Watched, cluster, now) with { Agents = [other] };
            return FaultDetector.Find(stage.Watched, gang, seen, now.At);
        }
    }

    [Fact]
    public void A_persons_retry_while_the_lost_node_is_given_up_launches_nothing_sooner()
    {
        world.Uncertain = true;
        AgentOn(whole.Nodes[1]).Die();
        Until(() => world.Stage.Phase is Phase.Restarting);
        world.Apply(Happening.RetryFromNewest);
        world.Apply(Happening.Tick);
        var restarting = Assert.IsType<Phase.Restarting>(world.Stage.Phase);
        Assert.Equal((2, whole.Nodes[1], spare), (world.Stage.Round, restarting.Leaving.Single(), restarting.Joining.Single()));
    }

    private SimAgent AgentOn(NodeId node) => world.Live.Single(a => a.Node == node);

    private void Until(Func<bool> holds)
    {
        for (int turn = 0; !holds(); turn++)
        {
            Assert.True(turn < 300, $"still {world.Stage.Phase}: {world.Stage.Reason}");
            world.Apply(Happening.Beat);
            world.Apply(Happening.Tick);
        }
    }
}
