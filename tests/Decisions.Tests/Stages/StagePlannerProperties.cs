using CsCheck;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>What holds whatever happens, in whatever order. A failure prints the seed that replays it.</summary>
public sealed class StagePlannerProperties
{
    private static readonly int Worlds = Lives.Of(500);

    /// <summary>Ticks and beats are common, as in life; each of the others is rare.</summary>
    private static readonly Gen<Happening[]> Life = Gen.Frequency(
        (12, Gen.Const(Happening.Tick)), (12, Gen.Const(Happening.Beat)), (6, Gen.Enum<Happening>())).Array[0, 120];

    /// <summary>One rank, and two agents with two ranks each.</summary>
    private static readonly Gen<(int Nodes, int Ranks)> Shapes = Gen.Bool.Select(many => many ? (2, 2) : (1, 1));

    private static readonly HashSet<string> Chart = [.. StateChart.Edges("Stage")];

    [Fact]
    public void At_most_one_attempt_trains_at_any_time() => Every((world, _) =>
    {
        var training = world.Training.ToList();
        Assert.True(training.Count <= 1, $"training at once: {string.Join(", ", training)}");
    });

    [Fact]
    public void An_ended_stage_stays_ended_until_a_person_retries_it() => Every((world, before) =>
    {
        if (before.Phase.Terminal && world.Stage.Round == before.Round)
        {
            Assert.Equal(before.Phase, world.Stage.Phase);
        }
    });

    [Fact]
    public void The_budget_of_a_cause_is_never_exceeded() => Every((world, _) =>
    {
        int worst = world.Stage.Restarts.Where(r => r.Cause != FailureCause.RolledBack).GroupBy(r => r.Cause).Select(g => g.Count())
            .DefaultIfEmpty().Max();
        Assert.True(worst <= world.Stage.Policy.MaxRestarts, $"{worst} restarts of one cause without a checkpoint");
    });

    [Fact]
    public void A_batch_that_broke_the_numbers_is_left_out_and_a_second_one_so_soon_fails_the_stage() => Every((world, _) =>
    {
        int breaks = world.Stage.RestartsByCause.GetValueOrDefault(FailureCause.NotFinite);
        Assert.True(breaks <= 1, $"{breaks} restarts by numbers that broke, within 30 steps");
        Assert.True(breaks <= world.Stage.LeftOut.Length, "a break whose batch is not left out");
    });

    [Fact]
    public void No_healthy_gang_is_stopped_and_every_decision_has_its_reason() =>
        Every((world, _) => Assert.True(world.Wrongs.Count == 0, string.Join("\n", world.Wrongs)));

    [Fact]
    public void A_stop_of_the_whole_cluster_is_no_failure_of_a_node_and_the_stage_goes_on()
    {
        var world = new StageWorld();
        Happening[] training = [.. Enumerable.Repeat((Happening[])[Happening.Tick, Happening.Beat], 12).SelectMany(h => h)];
        Array.ForEach(training, world.Apply);
        Assert.IsType<Phase.Running>(world.Stage.Phase);
        world.Apply(Happening.ClusterStops);
        Array.ForEach(training, world.Apply);
        Assert.IsType<Phase.Running>(world.Stage.Phase);
        Assert.Equal((2, 0, 0), (world.Stage.Attempt, world.Stage.Restarts.Length, world.Stage.Avoid.Length));
    }

    [Fact]
    public void An_attempt_number_is_never_used_twice_and_never_falls() =>
        Every((world, before) => Assert.InRange(world.Stage.Attempt, before.Attempt, before.Attempt + 1));

    [Fact]
    public void A_gang_of_two_nodes_loses_a_rank_and_its_peers_with_it_restarts_in_place_and_completes() => Gen.Int[4, 40].Sample(when =>
    {
        var world = new StageWorld(nodes: 2, slots: 2);
        for (int i = 0; i < 400 && !world.Stage.Phase.Terminal; i++)
        {
            world.Apply(i == when ? Happening.KillRank : Happening.Beat);
            world.Apply(Happening.Tick);
        }

        Assert.IsType<Phase.Completed>(world.Stage.Phase);
        // Before the gang trains there is nobody to kill.
        Assert.InRange(world.Stage.RestartsByCause.GetValueOrDefault(FailureCause.RankExited), 0, 1);
        Assert.Equal(world.Stage.RestartsByCause.Values.Sum() + 1, world.Stage.Attempt);
        Assert.Single(world.History.Select(s => s.Phase.GangOrNull?.Id).OfType<DeepSeekOps.Decisions.Gangs.GangId>().Distinct());
    }, iter: Lives.Of(40));

    [Fact]
    public void From_wherever_it_is_a_stage_left_alone_ends() => Shapes.Select(Life).Sample((shape, happenings) =>
    {
        var world = Lived(happenings, shape);
        world.Apply(Happening.ClusterSees);
        world.Apply(Happening.NodeReady);
        world.Apply(Happening.Resume);
        for (int i = 0; i < 2000 && !world.Stage.Phase.Terminal; i++)
        {
            world.Apply(Happening.Beat);
            world.Apply(Happening.Tick);
        }

        Assert.True(world.Stage.Phase.Terminal, $"still {world.Stage.Phase}: {world.Stage.Reason}");
    }, iter: Worlds);

    [Fact]
    public void A_crash_between_write_and_act_is_repaired_by_the_next_ticks() => Gen.Int[0, 200].Sample(turn =>
    {
        var world = new StageWorld();
        for (int i = 0; i < 400 && !world.Stage.Phase.Terminal; i++)
        {
            world.Apply(Happening.Beat);
            world.Apply(i == turn % 40 ? Happening.TickCrashingBeforeActions : Happening.Tick);
        }

        Assert.IsType<Phase.Completed>(world.Stage.Phase);
        Assert.Equal(1, world.Stage.Attempt);
    }, iter: Lives.Of(200));

    [Fact]
    public void The_same_stage_and_observation_give_the_same_decision() => Life.Sample(happenings =>
    {
        var world = Lived(happenings);
        var seen = world.Vitals.Observe(world.Stage.Watched, null, world.Seen);
        var (one, two) = (StagePlanner.Decide(world.Stage, seen, world.Now), StagePlanner.Decide(world.Stage, seen, world.Now));
        Assert.Equal((one.Reason, one.Next.Phase, one.Next.Attempt), (two.Reason, two.Next.Phase, two.Next.Attempt));
    }, iter: Worlds);

    private static void Every(Action<StageWorld, Stage> holds) => Shapes.Select(Life).Sample((shape, happenings) =>
    {
        var world = new StageWorld(shape.Nodes, shape.Ranks);
        foreach (var happening in happenings)
        {
            var before = world.Stage;
            world.Apply(happening);
            Assert.True(before.Phase.GetType() == world.Stage.Phase.GetType()
                || Chart.Contains($"{before.Phase.GetType().Name} -> {world.Stage.Phase.GetType().Name}"), "docs/states.md lacks it");
            holds(world, before);
        }
    }, iter: Worlds);

    private static StageWorld Lived(Happening[] happenings, (int Nodes, int Ranks)? shape = null)
    {
        var world = new StageWorld(shape?.Nodes ?? 1, shape?.Ranks ?? 1);
        foreach (var happening in happenings)
        {
            world.Apply(happening);
        }

        return world;
    }
}
