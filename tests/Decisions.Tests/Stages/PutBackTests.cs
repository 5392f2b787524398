using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>A database that is put back from a backup, while what it knew of has gone on. Milliseconds.</summary>
public sealed class PutBackTests
{
    private readonly StageWorld world = new();

    [Fact]
    public void A_stage_that_trained_goes_on_from_what_was_saved_after_the_backup_in_a_gang_of_its_own()
    {
        var then = Trained();
        int saved = world.Disk.Count;
        while (world.Disk.Count < saved + 2)
        {
            Turn();
        }

        long newest = world.Whole.Max(c => c.Step);
        Assert.True(newest > then.Checkpoints[^1].Made.Step);
        world.Live.ToList().ForEach(a => a.Die());
        world.PutBack(then);
        Assert.IsType<Phase.Stopping>(world.Stage.Phase);
        Assert.Contains(world.Stage.Outbox, e => e.Kind == "put-back" && e.Text.Contains("backup of 2026-01-01 00:00 UTC: gang 1",
            StringComparison.Ordinal));
        UntilItRuns();
        Assert.Equal(then.Attempt + StagePutBack.NumbersLost + 1, world.Stage.Attempt);
        Assert.Equal(world.Stage.Attempt, world.Stage.Phase.GangOrNull!.Id.Number);
        Assert.Equal(newest, world.Stage.LaunchedFrom);
        Assert.Equal(then.Attempt + 1, world.Stage.Attempt - world.Stage.AttemptsSkipped);
        Assert.Empty(world.Wrongs);
    }

    [Fact]
    public void Agents_of_the_time_that_was_lost_are_told_to_stop_by_whatever_number_they_have()
    {
        var then = Trained();
        world.PutBack(then);
        var gang = then.Phase.GangOrNull!;
        for (int attempt = 0; attempt < 3 * StagePutBack.NumbersLost; attempt++)
        {
            Assert.IsType<WorkerOrder.Stop>(WorkerOrders.For(world.Stage, gang.Nodes[0], attempt, []));
        }

        UntilItRuns();
        for (int attempt = 0; attempt < StagePutBack.NumbersLost; attempt++)
        {
            Assert.IsType<WorkerOrder.Stop>(WorkerOrders.For(world.Stage, gang.Nodes[0], attempt, []));
        }
    }

    [Fact]
    public void A_gang_that_still_trains_may_save_and_is_ended_before_another_begins()
    {
        var then = Trained();
        var old = world.Live.ToList();
        world.PutBack(then);
        var told = Assert.IsType<WorkerOrder.Stop>(WorkerOrders.For(world.Stage, then.Phase.GangOrNull!.Nodes[0], then.Attempt, []));
        Assert.Equal(then.Policy.SaveWithin, told.SaveWithin);
        UntilItRuns();
        Assert.All(old, agent => Assert.False(agent.Alive));
        Assert.Single(world.Live);
    }

    [Fact]
    public void A_request_is_taken_back_and_made_again_under_a_number_that_nobody_had()
    {
        world.Apply(Happening.Tick);
        var queued = world.Stage;
        Assert.IsType<Phase.Queued>(queued.Phase);
        UntilItRuns();
        world.PutBack(queued);
        Assert.Empty(Assert.IsType<Phase.Stopping>(world.Stage.Phase).Gang.Nodes);
        UntilItRuns();
        Assert.True(world.Stage.Attempt > StagePutBack.NumbersLost);
    }

    [Fact]
    public void What_has_ended_or_not_begun_stays_as_it_is()
    {
        var waiting = world.Stage;
        Assert.Same(waiting, StagePutBack.Of(waiting, StageWorld.Epoch, world.Now));
        Trained();
        world.Apply(Happening.Cancel);
        while (!world.Stage.Phase.Terminal)
        {
            Turn();
        }

        Assert.Same(world.Stage, StagePutBack.Of(world.Stage, StageWorld.Epoch, world.Now));
    }

    private Stage Trained()
    {
        UntilItRuns();
        while (world.Stage.Checkpoints.IsEmpty)
        {
            Turn();
        }

        return world.Stage;
    }

    private void UntilItRuns()
    {
        for (int turns = 0; world.Stage.Phase is not Phase.Running; turns++)
        {
            Assert.InRange(turns, 0, 2_000);
            Turn();
        }
    }

    private void Turn()
    {
        world.Apply(Happening.Tick);
        world.Apply(Happening.Beat);
    }
}
