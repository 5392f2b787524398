using CsCheck;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tests.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Health;

/// <summary>The wall clock may be set, and machines sleep: neither is anybody's silence.</summary>
public sealed class ClockTests
{
    private readonly RunningStage running = new();

    [Theory]
    [InlineData(90)]
    [InlineData(660)]
    [InlineData(10_800)]
    [InlineData(-3_600)]
    public void A_clock_that_is_set_ends_nothing(int seconds)
    {
        var later = running.After(TimeSpan.FromSeconds(1), set: TimeSpan.FromSeconds(seconds));
        var decision = running.Decide(later);
        Assert.IsType<Phase.Running>(decision.Next.Phase);
        Assert.Null(Silence.Of(running.Stage, running.Observe(later)));
    }

    [Fact]
    public void What_a_clock_that_ran_ahead_has_dated_into_the_future_is_not_held_against_anybody_once_it_is_set_right()
    {
        var now = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var ahead = now.AddDays(70);
        var failure = new NodeFailure(new NodeId("node-0"), new StageId("a", "s"), 1, FailureCause.NodeLost, ahead);
        Assert.Equal(1, NodeHistory.Score([failure], ahead));
        Assert.Equal(0, NodeHistory.Score([failure], now));
        Assert.Single(NodeHistory.Add([failure], failure with { Attempt = 2, At = now }));
        Assert.Null(Freshness.Told(now, now + Freshness.Fresh));
        Assert.Equal(ahead, Freshness.Told(ahead, now));
    }

    [Fact]
    public void After_a_break_of_ours_no_silence_from_before_it_counts()
    {
        var late = running.After(running.Stage.Policy.SilentFor + TimeSpan.FromSeconds(1));
        Assert.IsType<Phase.Stopping>(running.Decide(late).Next.Phase);
        Assert.IsType<Phase.Running>(running.Decide(late, awakeSince: late).Next.Phase);
    }

    [Fact]
    public void A_stop_that_waits_for_a_save_begins_its_wait_anew_after_a_break()
    {
        var paused = running.Stage with { Wish = running.Stage.Wish with { Intent = Intent.Pause } };
        var stopping = StagePlanner.Decide(paused, running.Observe(running.Now), running.Now.At).Next;
        Assert.IsType<Phase.Stopping>(stopping.Phase);
        var vitals = running.Vitals.Written(News.None, stopping.Watched, running.Now);
        var late = running.After(stopping.Policy.SaveWithin + TimeSpan.FromSeconds(1));
        Assert.NotEmpty(StagePlanner.Decide(stopping, vitals.Observe(stopping.Watched, running.Cluster, late), late.At).Actions);
        Assert.Empty(
            StagePlanner.Decide(stopping, vitals.NotBefore(late).Observe(stopping.Watched, running.Cluster, late), late.At).Actions);
    }

    [Fact]
    public void The_time_of_a_recovery_is_told_by_the_clock_that_is_not_set()
    {
        running.EndRank(1, "");
        var restarting = running.Decide(running.Now).Next;
        Assert.IsType<Phase.Restarting>(restarting.Phase);
        var vitals = running.Vitals.Written(News.None, restarting.Watched, running.Now);
        var later = running.After(TimeSpan.FromSeconds(3), set: TimeSpan.FromMinutes(10));
        var back = vitals.Take(running.Beat(restarting, step: restarting.LaunchedFrom + 1), restarting.Watched, false, later);
        var begun = StagePlanner.Decide(restarting, back.Observe(restarting.Watched, running.Cluster, later), later.At).Next;
        var told = Assert.Single(begun.Outbox, e => e.Kind == "recovered");
        Assert.Equal(TimeSpan.FromSeconds(3), told.Took);
        Assert.Contains("after 3 s", told.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_wait_between_launches_is_no_longer_because_the_clock_was_set_back()
    {
        var waiting = running.Stage with
        {
            Phase = new Phase.BackingOff(running.Gang, running.Now.At, running.Now.At + TimeSpan.FromSeconds(4)),
        };
        var vitals = running.Vitals.Written(News.None, waiting.Watched, running.Now);
        foreach (int seconds in new[] { 3, 5 })
        {
            var later = running.After(TimeSpan.FromSeconds(seconds), set: TimeSpan.FromHours(-1));
            var next = StagePlanner.Decide(waiting, vitals.Observe(waiting.Watched, running.Cluster, later), later.At).Next;
            Assert.Equal(seconds > 4, next.Phase is Phase.Restarting);
        }
    }

    [Fact]
    public void Whatever_is_set_and_however_long_it_stands_time_counts_only_what_was_run() =>
        Gen.Select(Gen.Int[0, 20_000], Gen.Int[-20_000, 20_000]).Array[1, 50].Sample(looks =>
        {
            var (wall, steady, ran) = (running.Now.At, TimeSpan.Zero, TimeSpan.Zero);
            var known = Wakefulness.Begin(wall, steady);
            foreach (var (passed, set) in looks)
            {
                var turn = TimeSpan.FromMilliseconds(passed);
                steady += turn;
                wall += turn + TimeSpan.FromMilliseconds(set);
                (known, string? note) = known.Look(wall, steady);
                ran += turn > Wakefulness.Late ? TimeSpan.Zero : turn;
                Assert.Equal(ran, known.Looked.Up);
                bool broken = turn > Wakefulness.Late || Math.Abs(set) > Wakefulness.Late.TotalMilliseconds;
                Assert.Equal(broken, note is not null);
                Assert.True(!broken || known.AwakeSince == known.Looked);
            }
        });
}
