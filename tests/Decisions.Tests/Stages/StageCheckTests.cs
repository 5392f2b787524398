using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Recipes.Schedules;
using Xunit;
using Heard = DeepSeekOps.Decisions.Health.Vitals;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>A long launch on new nodes: two steps of all ranks before it counts, and what becomes of a node that fails them.</summary>
public sealed class StageCheckTests
{
    private static readonly Instant Now = new(StageWorld.Epoch, TimeSpan.FromHours(1));
    private static readonly ImmutableArray<NodeId> Nodes = [new("node-0"), new("node-1"), new("node-2")];
    private static readonly StageId Id = new("long", "pretrain");

    [Fact]
    public void It_trains_only_once_all_ranks_have_made_two_steps_and_says_so_until_then()
    {
        var checking = Checking();
        var waits = Decide(checking, Beat(0, steps: 2), Beat(1, steps: 1));
        Assert.IsType<Phase.Checking>(waits.Next.Phase);
        Assert.Equal("checks its new nodes (node-1): 2 steps; all ranks of 1 of 2 nodes have made them", waits.Reason);

        var done = Decide(checking, Beat(0, steps: 2), Beat(1, steps: 2)).Next;
        Assert.Empty(Assert.IsType<Phase.Running>(done.Phase).Gang.Untried);
        Assert.Equal(["checked", "started"], done.Outbox.Select(e => e.Kind));
        Assert.StartsWith("node-1, new to the gangs of this cluster: 2 steps of all ranks were made", done.Outbox[0].Text,
            StringComparison.Ordinal);
        var told = StageCheck.Told(checking, done)!;
        Assert.Equal(Nodes.Take(2), told.Sound);
        Assert.Null(told.Failed);
    }

    [Theory]
    [InlineData(0.5, false)]
    [InlineData(2, true)]
    public void Only_what_is_long_by_the_plan_waits_for_it(double hours, bool waits)
    {
        var starting = Checking(hours) with { Phase = new Phase.Starting(Gang, Now.At) };
        var next = Decide(starting, Beat(0, steps: 1), Beat(1, steps: 1)).Next;
        Assert.Equal(waits, next.Phase is Phase.Checking);
        Assert.Equal(waits, StageCheck.Announced(starting, Gang) == "; node-1 is new: 2 steps of all ranks check it");
        // Its nodes are known to the gangs to come all the same, once the steps are made.
        var trains = Decide(next, Beat(0, steps: 2), Beat(1, steps: 2)).Next;
        Assert.Empty(Assert.IsType<Phase.Running>(trains.Phase).Gang.Untried);
        Assert.Equal(Nodes.Take(2), StageCheck.Told(next, trains)!.Sound);
    }

    [Fact]
    public void A_new_node_that_fails_is_swapped_and_the_run_pays_with_none_of_its_restarts()
    {
        var checking = Checking();
        var decision = Decide(checking, Beat(0, steps: 1), Beat(1, steps: 1, exit: 1));
        var next = decision.Next;
        Assert.IsType<Ending.Relaunch>(Assert.IsType<Phase.Stopping>(next.Phase).Then);
        Assert.Equal((0, 0), (next.Restarts.Length, next.RestartsByCause.Count));
        Assert.True(Assert.Single(next.Avoid) is { Node.Name: "node-1", WasNew: true });
        string told = Assert.Single(next.Outbox).Text;
        Assert.Contains("node-1 is new to the gangs of this cluster, and not all ranks had made 2 steps", told, StringComparison.Ordinal);
        Assert.Contains("which costs the run none of its restarts", told, StringComparison.Ordinal);
        Assert.Equal("swap a new node", next.NewestIncident!.Decision!.Rung);
        var record = StageCheck.Told(checking, next)!;
        Assert.Equal((new NodeId("node-1"), FailureCause.RankExited), (record.Failed!.Node, record.Failed.Cause));
        Assert.Null(CountedFailure.Of(checking, next));
    }

    [Fact]
    public void What_it_costs_stands_under_start_up()
    {
        var before = Checking();
        before = before with { Account = StageAccount.Open(Now.At - TimeSpan.FromSeconds(40), 4) };
        var next = Decide(before, Beat(0, steps: 1), Beat(1, steps: 1, exit: 1)).Next;
        var account = StageBooks.At(next, Seen(next, Now.At + TimeSpan.FromSeconds(20)), Now.At + TimeSpan.FromSeconds(20))!;
        Assert.Equal(TimeSpan.FromSeconds(60 * 4).Ticks, account.Of(GoodputBucket.StartUp));
        Assert.Equal(0, account.Of(GoodputBucket.Restart));
    }

    [Fact]
    public void A_node_that_is_known_is_not_swapped_for_its_rank()
    {
        var next = Decide(Checking(), Beat(0, steps: 1, exit: 1), Beat(1, steps: 1)).Next;
        Assert.IsType<Phase.Restarting>(next.Phase);
        Assert.Single(next.Restarts);
    }

    [Fact]
    public void The_same_end_on_a_second_new_node_is_the_programs()
    {
        var first = Decide(Checking(), Beat(0, steps: 1), Beat(1, steps: 1, exit: 1)).Next;
        var second = Checking() with { Avoid = [first.Avoid[0] with { Node = new NodeId("node-9") }] };
        Assert.Single(Decide(second, Beat(0, steps: 1), Beat(1, steps: 1, exit: 1)).Next.Restarts);
        // Another end is another matter.
        Assert.Empty(Decide(second, Beat(0, steps: 1), Beat(1, steps: 1, exit: 3)).Next.Restarts);
    }

    [Fact]
    public void A_node_that_was_swapped_and_came_again_for_want_of_another_is_not_swapped_for_nothing_a_second_time()
    {
        var again = Checking() with { Avoid = [new(new NodeId("node-1"), "it broke", Now.At) { WasNew = true }] };
        Assert.Single(Decide(again, Beat(0, steps: 1), Beat(1, steps: 1, exit: 1)).Next.Restarts);
    }

    [Fact]
    public void A_new_node_that_takes_twice_as_long_is_swapped_where_another_is_free_and_kept_with_a_warning_where_none_is()
    {
        AgentBeat[] beats = [Beat(0, steps: 2, own: 2), Beat(1, steps: 2, own: 5)];
        var swapped = Decide(Checking(), beats).Next;
        Assert.Equal("node-1", Assert.Single(swapped.Avoid).Node.Name);
        Assert.Equal((FailureCause.RankSlow, 0), (swapped.Incident!.Cause, swapped.Restarts.Length));
        Assert.Contains("slow in its own work from the first step: 2.5 s a step, the middle of its peers 1 s", swapped.Incident.Sentence,
            StringComparison.Ordinal);

        var kept = Decide(Checking(), beats, free: false).Next;
        Assert.IsType<Phase.Running>(kept.Phase);
        Assert.Equal(EventLevel.Warning, kept.Outbox[0].Level);
        Assert.EndsWith("it is kept, since no other node is free", kept.Outbox[0].Text, StringComparison.Ordinal);

        // Nor is anything done behind the back of whoever holds the run.
        var held = Checking() with { Wish = Checking().Wish with { Held = new PersonsHold("ann", "looks", Now.At) } };
        var left = Decide(held, beats).Next;
        Assert.IsType<Phase.Running>(left.Phase);
        Assert.Contains("it is kept, since", left.Outbox[0].Text, StringComparison.Ordinal);

        // A known node is slow as it was, and half as slow again is no reason.
        Assert.IsType<Phase.Running>(Decide(Checking(), Beat(0, steps: 2, own: 5), Beat(1, steps: 2, own: 2)).Next.Phase);
        Assert.IsType<Phase.Running>(Decide(Checking(), Beat(0, steps: 2, own: 2), Beat(1, steps: 2, own: 3)).Next.Phase);
    }

    [Fact]
    public void A_hang_among_known_nodes_is_laid_to_the_only_new_one()
    {
        var hung = Beat(0, steps: 1, stands: TimeSpan.FromMinutes(5));
        var next = Decide(Checking(), hung, Beat(1, steps: 1)).Next;
        Assert.Equal("node-1", Assert.Single(next.Avoid).Node.Name);
        Assert.Contains("of the gang's nodes node-1 alone is new", next.Incident!.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void Nodes_that_were_away_are_new_again_and_what_trains_on_a_cordoned_one_keeps_it_known()
    {
        var known = TriedNodes.Add([], Nodes, Id, Now.At);
        Assert.Equal(Nodes.Take(2), Left(NodeHealth.NotReady, held: true));
        Assert.Equal(Nodes.Take(2), Left(NodeHealth.Cordoned, held: false));
        Assert.Equal(Nodes.Take(2), Left(NodeHealth.Maintenance, held: false));
        Assert.Equal(Nodes, Left(NodeHealth.Cordoned, held: true));
        Assert.Equal(Nodes, Left(NodeHealth.Unknown, held: false));
        Assert.Equal(Nodes.Take(2), TriedNodes.Follow(known, Cluster(NodeHealth.Ready, Nodes[..2]), []).Select(t => t.Node));
        Assert.Equal(known, TriedNodes.Follow(known, Cluster(NodeHealth.NotReady, Nodes) with { Stopping = true }, []));
        Assert.True(Cluster(NodeHealth.Ready, Nodes).With(known[..2]).Nodes.Select(n => n.Untried).SequenceEqual([false, false, true]));

        IEnumerable<NodeId> Left(NodeHealth last, bool held) => TriedNodes.Follow(known, Cluster(last, Nodes),
            held ? [Gang with { Nodes = [Nodes[2]] }] : []).Select(t => t.Node);
    }

    [Fact]
    public void A_life_with_a_bad_new_node_goes_on_elsewhere_and_a_known_node_is_not_checked_again()
    {
        var world = new StageWorld(nodes: 2, checks: true);
        GoOn(world, s => s.Phase is Phase.Starting);
        world.Apply(Happening.Beat);
        world.Apply(Happening.Beat);
        world.Apply(Happening.Crash);
        GoOn(world, s => s.Avoid.Any(a => a.WasNew));
        GoOn(world, s => s.Phase is Phase.Running);
        Assert.Empty(world.Stage.Restarts);
        Assert.Equal(2, world.Checked.Count);
        Assert.NotNull(world.Checked[0].Failed);
        int checks = world.History.Count(s => s.Phase is Phase.Checking);
        world.Apply(Happening.KillRank);
        GoOn(world, s => s.Phase is Phase.Restarting);
        GoOn(world, s => s.Phase is Phase.Running);
        Assert.Equal(checks, world.History.Count(s => s.Phase is Phase.Checking));
        Assert.Empty(world.Wrongs);
    }

    private static GangGrant Gang { get; } = new(Id, 1, Nodes[..2], 2, Now.At) { Untried = [Nodes[1]] };

    private static Stage Checking(double hours = 100)
    {
        var pipeline = new PipelineSpec
        {
            Name = Id.Run,
            Stages =
            [
                new StageSpec
                {
                    Name = Id.Stage,
                    Recipe = new StageRecipe.Pretraining { Tokens = 1_000_000, SequenceLength = 100, BatchSize = BatchRamp.Constant(8) },
                    Resources = new ResourceSpec { Nodes = 2, RanksPerNode = 2 },
                },
            ],
        };
        var work = new StageWork(Id.Stage, "pretraining", 1000, 1_000_000, 2, 2, 100, "research", 3, null, new RecoveryPolicy())
        {
            Needs = new GangNeeds { Expected = TimeSpan.FromHours(hours) },
        };
        return Stage.New(new StageWish(Id, 1, Intent.Train, "a person wants it", work, pipeline, null, null, null)) with
        {
            Attempt = 1,
            Phase = new Phase.Checking(Gang, Now.At, 1, TimeSpan.FromSeconds(9)),
        };
    }

    private static ClusterSnapshot Cluster(NodeHealth last, ImmutableArray<NodeId> nodes, bool pods = false) => new(
        [.. nodes.Select(n => new NodeSeen(n, n == Nodes[2] ? last : NodeHealth.Ready, "", 2, ImmutableDictionary<string, string>.Empty))],
        pods ? [.. Gang.Nodes.Select(n => new PodSeen(Gang.Id, n, PodPhase.Running, 1, null, ""))] : [], Now.At);

    private static Decision Decide(Stage stage, params AgentBeat[] beats) => Decide(stage, beats, free: true);

    private static Decision Decide(Stage stage, AgentBeat[] beats, bool free) => StagePlanner.Decide(stage,
        Vitals(stage, beats)
            .Observe(stage.Watched, Cluster(free ? NodeHealth.Ready : NodeHealth.NotReady, Nodes, pods: true), Now), Now.At);

    private static Observation Seen(Stage stage, DateTimeOffset at) =>
        Vitals(stage, []).Observe(stage.Watched, Cluster(NodeHealth.Ready, Nodes, pods: true), new Instant(at, Now.Up));

    private static Heard Vitals(Stage stage, AgentBeat[] beats) =>
        beats.Aggregate(Heard.Fresh(new Instant(Now.At - TimeSpan.FromMinutes(30), Now.Up - TimeSpan.FromMinutes(30))),
            (all, beat) => all.Take(beat, stage.Watched, false, Now));

    /// <summary>Two ranks of a node.</summary>
    private static AgentBeat Beat(int node, int steps, int? exit = null, double own = 0, TimeSpan stands = default) => new(
        Nodes[node], $"agent-{node}", Id, 1, 1,
        [.. Enumerable.Range(2 * node, 2).Select(rank => new RankStatus(rank, rank, exit is null ? RankState.Training : RankState.Exited, 1,
            steps, "forward", stands, exit, exit is null ? "" : $"it broke in {exit}", steps)
        {
            BeganAt = 0, OwnSeconds = own, Fault = exit is null ? "" : "at train",
        })],
        node > 0 ? [] : [new StepSample(steps, Now.At, "main", 3, 1, 1e-3, 100, 0.1, 1, ImmutableDictionary<string, double>.Empty)],
        [], [], [], ImmutableDictionary<string, double>.Empty, [], []);

    private static void GoOn(StageWorld world, Func<Stage, bool> until)
    {
        for (int i = 0; i < 200 && !until(world.Stage); i++)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
        }

        Assert.True(until(world.Stage), $"it is {world.Stage.Phase}: {world.Stage.Reason}");
    }
}
