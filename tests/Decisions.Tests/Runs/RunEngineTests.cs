using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Runs;

public sealed class RunEngineTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_newer_record_wins_and_the_command_is_weighed_again_on_it()
    {
        var world = Trains();
        var newer = world.Run with { Intent = Intent.Cancel, Reason = "another silo was asked to" };
        world.Newer = newer;
        var decision = world.Command(0);
        Assert.Contains("is being cancelled", Assert.IsType<CommandDecision.Refuse>(decision).Reason, StringComparison.Ordinal);
        Assert.Same(newer, world.Engine.Run);
        Assert.Equal("another silo was asked to", world.Engine.Reason);
    }

    [Fact]
    public void What_was_decided_on_an_older_record_is_told_to_no_stage()
    {
        var world = new RunWorld(new Random(1));
        var newer = world.Run with { Intent = Intent.Cancel };
        world.Newer = newer;
        world.Tick();
        Assert.Empty(world.Trained);
        Assert.Same(newer, world.Engine.Run);
        Assert.True(world.Engine.News);
        world.Tick();
        Assert.IsType<RunPhase.Cancelling>(world.Run.Phase);
    }

    [Fact]
    public void A_new_process_asks_its_stages_once_before_it_decides()
    {
        var world = Trains();
        var engine = new RunEngine(world.Run);
        var effects = new List<RunEffect>();
        foreach (var effect in engine.Tick())
        {
            effects.Add(effect);
            switch (effect)
            {
                case RunEffect.AskStages ask: ask.Reports = world.Reports; break;
                case RunEffect.LookAtClock look: look.Now = Now; break;
                case RunEffect.Write write: write.Written(write.Next); break;
                case RunEffect.Want want: want.Report = world.Reports[0]; break;
            }
        }

        Assert.IsType<RunEffect.AskStages>(effects[0]);
        Assert.Single(effects.OfType<RunEffect.AskStages>());
        Assert.Equal(world.Reports[0], engine.Reports[0]);
        Assert.Empty(engine.Wake());
    }

    /// <summary>An answer that a stage gave before it moved, and that comes late, does not put it back.</summary>
    [Fact]
    public void What_a_stage_tells_while_it_is_asked_is_newer_than_the_answer()
    {
        var world = Trains();
        var engine = new RunEngine(world.Run);
        var moved = world.Reports[0]! with { Phase = new Phase.Paused(Now) };
        foreach (var effect in engine.Wake())
        {
            Assert.True(engine.Hear(moved));
            ((RunEffect.AskStages)effect).Reports = world.Reports;
        }

        Assert.Same(moved, engine.Reports[0]);
        Assert.False(engine.Hear(moved));
    }

    [Fact]
    public void A_host_that_forgets_an_answer_is_told_so()
    {
        var run = Trains().Run;
        Assert.Contains("did not ask", Forgets(new RunEngine(run).Wake()), StringComparison.Ordinal);
        Assert.Contains("did not look", Forgets(new RunEngine(run).Turn()), StringComparison.Ordinal);
        Assert.Contains("did not write", Forgets(new RunEngine(run).Command((r, _) => RunCommands.Pause(r, "", Now), new AskedOfRun())),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_is_asked_of_a_run_that_has_ended()
    {
        var ended = Trains().Run with { Phase = new RunPhase.Failed(Now) };
        Assert.Empty(new RunEngine(ended).Tick());
        Assert.Empty(new RunEngine(null).Tick());
        Assert.False(new RunEngine(null).Hear(Trains().Reports[0]!));
    }

    private static string Forgets(IEnumerable<RunEffect> effects) =>
        Assert.Throws<InvalidOperationException>(() => effects.Count()).Message;

    private static RunWorld Trains()
    {
        var world = new RunWorld(new Random(1));
        for (int tick = 0; tick < 50 && world.Reports[0] is null; tick++)
        {
            world.Tick();
        }

        return world;
    }
}
