using CsCheck;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>Work is never lost: whatever is told late, twice or never, and whoever dies in between.</summary>
public sealed class CheckpointLawTests
{
    private static readonly int Worlds = Lives.Of(500);

    /// <summary>Control planes that are away, agents that train unheard and die, damaged checkpoints, and people who go back.</summary>
    private static readonly Gen<Happening[]> Life = Gen.Frequency(
        (10, Gen.Const(Happening.Tick)), (10, Gen.Const(Happening.Beat)), (10, Gen.Const(Happening.TrainsUnheard)),
        (2, Gen.Const(Happening.KillAgent)), (2, Gen.Const(Happening.KillRank)), (2, Gen.Const(Happening.ControlPlaneDies)),
        (1, Gen.Const(Happening.RefuseCheckpoint)), (1, Gen.Const(Happening.RetryFromNewest)), (4, Gen.Enum<Happening>())).Array[0, 160];

    /// <summary>One rank, and two agents with two ranks each.</summary>
    private static readonly Gen<(int Nodes, int Ranks)> Shapes = Gen.Bool.Select(many => many ? (2, 2) : (1, 1));

    [Fact]
    public void No_attempt_goes_on_from_an_older_checkpoint_while_a_newer_whole_one_lies_on_the_disk() => Every((world, before) =>
    {
        if (world.Stage.Attempt == before.Attempt || world.Stage.Round != before.Round)
        {
            return;
        }

        long newest = world.Whole.Where(c => c.Attempt > world.Stage.RoundBegan).Select(c => c.Step).DefaultIfEmpty(0).Max();
        Assert.True(
            world.Stage.LaunchedFrom
                >= newest, $"attempt {world.Stage.Attempt} from {world.Stage.LaunchedFrom}; step {newest} lies on the disk");
    });

    [Fact]
    public void None_is_called_deleted_before_two_newer_ones_were_durable() => Every((world, before) =>
    {
        var old = before.Checkpoints.ToDictionary(c => c.Made.Step);
        foreach (var gone in world.Stage.Checkpoints.Where(
            c => c.State == CheckpointState.Deleted && old.GetValueOrDefault(c.Made.Step)?.State != c.State))
        {
            // They may be refused in the same breath: what a rank deletes it deletes when they are durable.
            int newer = world.Stage.Checkpoints.Count(c => c.Made.Step > gone.Made.Step || c.Made.Attempt > gone.Made.Attempt);
            Assert.True(newer >= 2, $"step {gone.Made.Step} is deleted ({gone.Reason}) and {newer} newer ones were durable");
        }
    });

    [Fact]
    public void A_stage_that_had_a_checkpoint_begins_at_step_0_only_where_a_person_said_so() => Every((world, before) =>
    {
        bool had = before.Checkpoints.Any(c => c.Made.Attempt > world.Stage.RoundBegan);
        Assert.False(had && world.Stage.Round == before.Round && world.Stage.Attempt > before.Attempt && world.Stage.LaunchedFrom == 0,
            world.Stage.Reason);
    });

    [Fact]
    public void What_the_timeline_says_of_the_first_new_step_is_true() => Every((world, before) =>
    {
        foreach (var told in world.Stage.Outbox.Except(before.Outbox).Where(e => e.Kind is "recovered" or "started"))
        {
            Assert.Contains($"step {world.Stage.LaunchedFrom + 1} after", told.Text, StringComparison.Ordinal);
        }
    });

    [Fact]
    public void An_agent_that_has_only_registered_is_no_evidence_of_anything()
    {
        var world = Trained();
        var agent = world.Live.First();
        var rank = agent.Rank! with { State = RankState.Exited, ExitCode = 137 };
        world.Apply(Happening.ControlPlaneDies);
        var vitals = world.Vitals.Take(new AgentRegistration("", agent.Node, agent.Id, 1, world.Stage.Id, 1, [rank]), world.Seen);
        Assert.Empty(Assert.Single(vitals.Observe(world.Stage.Watched, null, world.Seen).Agents).Ranks);
        var heard = vitals.Take(agent.Beat() with { Ranks = [rank] }, world.Stage.Watched, false, world.Seen);
        Assert.NotEmpty(Assert.Single(heard.Observe(world.Stage.Watched, null, world.Seen).Agents).Ranks);
        // Contact that is found again begins anew: the outbox comes with the next beat.
        var again = heard.Take(new AgentRegistration("", agent.Node, agent.Id, 1, world.Stage.Id, 1, [rank]), world.Seen);
        Assert.Empty(Assert.Single(again.Observe(world.Stage.Watched, null, world.Seen).Agents).Ranks);
    }

    [Fact]
    public void Trained_unheard_and_dead_with_its_agent_the_newest_checkpoint_is_adopted_and_told()
    {
        var world = Trained();
        world.Apply(Happening.ControlPlaneDies);
        for (int i = 0; i < 10; i++)
        {
            world.Apply(Happening.TrainsUnheard);
        }

        long newest = world.Disk.Max(c => c.Made.Step);
        Assert.True(newest > world.Stage.Checkpoints[^1].Made.Step);
        world.Apply(Happening.KillAgent);
        while (world.Stage.Attempt == 1)
        {
            world.Apply(Happening.Tick);
        }

        Assert.Equal(newest, world.Stage.LaunchedFrom);
        var told = world.History.SelectMany(s => s.Outbox).Distinct().ToList();
        Assert.Contains(told, e => e.Kind == "checkpoint-found" && e.Step == newest);
        Assert.Contains(told, e => e.Kind == "agent-lost" && e.Text.EndsWith($"goes on from step {newest}", StringComparison.Ordinal));
    }

    /// <summary>Megatron-LM #5281: a damaged checkpoint is refused once, and an older one gone on from.</summary>
    [Fact]
    public void A_rank_that_fell_back_by_itself_is_left_alone_and_its_step_is_the_truth()
    {
        var world = Trained();
        while (world.Stage.Checkpoints.Count(c => c.Usable) < 2)
        {
            world.Apply(Happening.Beat);
            world.Apply(Happening.Tick);
        }

        long[] steps = [.. world.Whole.Select(c => c.Step).OrderDescending()];
        world.Apply(Happening.RefuseCheckpoint);
        world.Apply(Happening.KillRank);
        for (int i = 0; i < 8; i++)
        {
            world.Apply(Happening.Beat);
            world.Apply(Happening.Tick);
        }

        Assert.IsType<Phase.Running>(world.Stage.Phase);
        Assert.Equal((2, steps[1]), (world.Stage.Attempt, world.Stage.LaunchedFrom));
        var told = world.History.SelectMany(s => s.Outbox).Distinct().ToList();
        Assert.Contains(told, e => e.Kind == "goes-on-from" && e.Text.Contains($"goes on from step {steps[1]}", StringComparison.Ordinal));
        Assert.Contains(told, e => e.Kind == "recovered" && e.Step == steps[1] + 1);
    }

    [Fact]
    public void Where_none_can_be_used_the_stage_fails_with_what_to_do_and_a_retry_from_0_begins_again()
    {
        var world = Trained();
        world.DamageAll();
        world.Apply(Happening.KillRank);
        for (int i = 0; i < 20 && world.Stage.Phase is not Phase.Failed; i++)
        {
            world.Apply(Happening.Beat);
            world.Apply(Happening.Tick);
        }

        var failed = Assert.IsType<Phase.Failed>(world.Stage.Phase);
        Assert.Contains("no checkpoint can be used", failed.Why, StringComparison.Ordinal);
        Assert.Contains("`dsops retry mini --stage pretrain --from 0` begins again", failed.Why, StringComparison.Ordinal);
        world.RetryFrom(0);
        while (world.Stage.Phase is not Phase.Running)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
        }

        Assert.Equal(0, world.Stage.LaunchedFrom);
    }

    [Fact]
    public void A_refusal_told_twice_does_not_condemn_what_was_trained_anew_since()
    {
        var made = Made(140, attempt: 3, "new");
        var refused = new RefusedCheckpoint(made.Path, "truncated") { Attempt = 3, Digest = "old" };
        Assert.False(refused.Means(made));
        Assert.True(refused.Means(Made(140, attempt: 2, "old")));
        Assert.False((refused with { Digest = "" }).Means(made));
        Assert.True((refused with { Digest = "" }).Means(Made(140, attempt: 2, "old")));
    }

    [Fact]
    public void A_database_put_back_from_a_copy_goes_on_beyond_the_attempts_on_the_disk()
    {
        var world = Trained();
        world.Disk.Add(new CheckpointOnDisk(Made(29, attempt: 7, "later"), ""));
        world.Apply(Happening.KillRank);
        world.Apply(Happening.Beat);
        world.Apply(Happening.Tick);
        Assert.Equal((8, 29L), (world.Stage.Attempt, world.Stage.LaunchedFrom));
    }

    private static CheckpointMade Made(long step, int attempt, string digest) => new(
        step, $"step-{step}", 1, digest, 1, 1, "", TimeSpan.Zero, TimeSpan.Zero, DateTimeOffset.UnixEpoch, attempt, false);

    private static StageWorld Trained()
    {
        var world = new StageWorld();
        while (world.Stage.Checkpoints.IsEmpty || world.Stage.Phase is not Phase.Running)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
        }

        return world;
    }

    private static void Every(Action<StageWorld, Stage> holds) => Shapes.Select(Life).Sample((shape, happenings) =>
    {
        var world = new StageWorld(shape.Nodes, shape.Ranks);
        foreach (var happening in happenings)
        {
            var before = world.Stage;
            world.Apply(happening);
            holds(world, before);
        }
    }, iter: Worlds);
}
