using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

public sealed class StageBooksTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    public void Buckets_add_up_to_gpus_times_the_time_that_was_asked_for_at_every_moment(int nodes, int slots) =>
        Gen.Enum<Happening>().Array[10, 120].Sample(happenings =>
        {
            var world = new StageWorld(nodes, slots);
            var asked = TimeSpan.Zero;
            foreach (var happening in happenings.SelectMany(h => new[] { h, Happening.Tick, Happening.Beat }))
            {
                var (before, at) = (world.Stage.Phase, world.Now);
                world.Apply(happening);
                asked += Asks(before) ? world.Now - at : TimeSpan.Zero;
                if (Now(world) is { } account)
                {
                    Assert.Equal(asked.Ticks * nodes * slots, account.Booked.GpuTicks.Sum());
                    Assert.DoesNotContain(account.Booked.GpuTicks, t => t < 0);
                }
            }
        }, iter: Lives.Of(100));

    [Fact]
    public void A_killed_rank_costs_detection_restart_and_the_steps_made_again_by_its_cause()
    {
        var world = Trained(new StageWorld(), 17);
        world.Live.First().EndRank(137, "");
        Until(world, w => w.Stage is { Attempt: 2, Phase: Phase.Running });
        var account = Now(world)!;
        Assert.True(account.Of(GoodputBucket.Restart) > 0);
        Assert.True(account.Of(GoodputBucket.LostWork) > 0);
        Assert.Equal(account.Of(GoodputBucket.LostWork) + account.Of(GoodputBucket.Restart) + account.Of(GoodputBucket.Detection),
            account.Booked.LostByCause["rank exited"]);
        Assert.Equal(0, account.Of(GoodputBucket.Unknown));
    }

    [Fact]
    public void Time_that_nobody_listened_in_is_unknown_unless_the_steps_that_are_told_afterwards_fill_it()
    {
        var asleep = Trained(new StageWorld(), 7);
        var (was, at) = (Now(asleep)!.Productive, asleep.Now);
        asleep.Apply(Happening.MinutePasses);
        asleep.Apply(Happening.ControlPlaneDies);
        Until(asleep, w => w.Stage.Latest?.Step > 9);
        asleep.Apply(Happening.Pause);
        Until(asleep, w => w.Stage.Phase is Phase.Paused);
        var period = Assert.Single(asleep.Stage.Account!.Periods);
        Assert.InRange((period.To - period.From).TotalSeconds, 50, 70);
        Assert.Equal((period.To - period.From).Ticks, asleep.Stage.Account.Of(GoodputBucket.Unknown));
        Assert.True(period.From >= at.AddSeconds(-10));
        Assert.True(was > 0);

        var known = Trained(new StageWorld(), 7);
        known.Apply(Happening.ControlPlaneDies);
        Until(known, w => w.Stage.Latest?.Step > 12);
        Assert.Empty(Now(known)!.Periods);
    }

    [Fact]
    public void What_an_older_version_wrote_is_unknown_until_now()
    {
        var world = Trained(new StageWorld(), 7);
        var old = world.Stage with { Account = null, StartedAt = world.Now.AddMinutes(-5) };
        var seen = world.Vitals.Observe(old.Watched, null, world.Seen);
        var next = StageBooks.Enter(old, old with { Reason = "moved" }, seen, null, world.Now);
        Assert.Equal(TimeSpan.FromMinutes(5).Ticks, next.Account!.Of(GoodputBucket.Unknown));
        Assert.Single(next.Account.Periods);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(20)]
    public void What_a_faster_cluster_measured_is_booked_in_our_time_and_shown_in_its_own(int factor)
    {
        var world = Trained(new StageWorld(), 17);
        Until(world, w => !w.Stage.Checkpoints.IsEmpty);
        var (before, newest) = (world.Stage, world.Stage.Checkpoints[^1]);
        var made = newest.Made with { Step = newest.Made.Step + 1, Path = "another", Stall = TimeSpan.FromSeconds(2) };
        var seen = world.Vitals.Observe(before.Watched, null, world.Seen) with { TimeFactor = factor };
        var next = StageBooks.Enter(before, before with { Checkpoints = [.. before.Checkpoints, newest with { Made = made }] }, seen, null,
            world.Now);
        long stood = next.Account!.Of(GoodputBucket.Checkpoint) - before.Account!.Of(GoodputBucket.Checkpoint);
        Assert.Equal(TimeSpan.FromSeconds(2.0 / factor).Ticks, stood);
        var shown = StageBooks.At(next, seen, world.Now)!;
        Assert.Equal(next.Account.Productive * factor, shown.Productive);
        Assert.Equal(next.Account.Wall * factor, shown.Wall);
    }

    private static bool Asks(Phase phase) =>
        phase is not (Phase.Waiting or Phase.Paused or Phase.Completed or Phase.Failed or Phase.Cancelled);

    private static StageAccount? Now(StageWorld world) =>
        StageBooks.At(world.Stage, world.Vitals.Observe(world.Stage.Watched, null, world.Seen), world.Now);

    private static StageWorld Trained(StageWorld world, long step)
    {
        Until(world, w => w.Live.FirstOrDefault()?.Rank is { State: RankState.Training } rank && rank.Step >= step);
        return world;
    }

    private static void Until(StageWorld world, Func<StageWorld, bool> reached)
    {
        for (int turn = 0; turn < 2_000 && !reached(world); turn++)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
        }

        Assert.True(reached(world));
    }
}
