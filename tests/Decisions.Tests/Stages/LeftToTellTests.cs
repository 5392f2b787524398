using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>A gang that ends while its agents have still samples to tell: after the last gang of a stage nobody would tell them.</summary>
public sealed class LeftToTellTests
{
    private static readonly TimeSpan ByItself = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Silent = TimeSpan.FromSeconds(10);
    private readonly StageWorld world = new();
    private readonly Stage running;

    public LeftToTellTests()
    {
        while (world.Stage.Checkpoints.IsEmpty || world.Stage.Phase is not Phase.Running)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
        }

        running = world.Stage;
    }

    [Fact]
    public void A_gang_that_is_done_failed_or_paused_is_given_time_to_tell_what_it_has_left()
    {
        foreach (Ending then in (Ending[])[new Ending.Complete(Final), new Ending.Fail("why"), new Ending.Pause("why")])
        {
            var waits = Decide(then, after: ByItself + ByItself, untold: 30_000);
            Assert.Empty(waits.Actions);
            Assert.Contains("30000 reports left to send", waits.Reason, StringComparison.Ordinal);
            Assert.IsType<StageAction.EndGang>(Assert.Single(Decide(then, after: ByItself + ByItself, untold: 0).Actions));
        }
    }

    [Fact]
    public void It_is_ended_when_its_agents_are_silent_or_the_database_does_not_keep_up()
    {
        var then = new Ending.Complete(Final);
        Assert.IsType<StageAction.EndGang>(Assert.Single(
            Decide(then, after: ByItself + Silent, untold: 30_000, silent: Silent).Actions));
        Assert.IsType<StageAction.EndGang>(Assert.Single(Decide(then, after: StagePlanner.TellWithin, untold: 30_000).Actions));
    }

    [Fact]
    public void Neither_the_next_gang_nor_who_cancels_waits_for_it()
    {
        foreach (Ending then in (Ending[])[new Ending.Relaunch("why", world.Now), new Ending.Cancel("why")])
        {
            Assert.IsType<StageAction.EndGang>(Assert.Single(Decide(then, after: ByItself + ByItself, untold: 30_000).Actions));
        }
    }

    private CheckpointRef Final => running.Checkpoints[^1].Ref(running.Id);

    private Decision Decide(Ending then, TimeSpan after, int untold, TimeSpan silent = default)
    {
        var gang = running.Phase.GangOrNull ?? throw new InvalidOperationException("it holds no gang");
        var stopping = running with { Phase = new Phase.Stopping(gang, world.Now, then, ByItself) };
        var now = Instant.OfOneClock(world.Now + after);
        var seen = world.Vitals.Observe(stopping.Watched, null, now);
        return StagePlanner.Decide(stopping, seen with
        {
            PhaseFor = after,
            Since = Instant.OfOneClock(world.Now),
            Agents = [.. seen.Agents.Select(a => a with { Untold = untold, Heard = Instant.OfOneClock(now.At - silent) })],
        }, now.At);
    }
}
