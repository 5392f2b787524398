using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>Whatever a host fails at, its agents hear that nobody decides; else a rank that ended would wait for ever.</summary>
public sealed class UndecidedTests
{
    [Theory]
    [InlineData(nameof(StageEffect.Look))]
    [InlineData(nameof(StageEffect.LookAtCheckpoints))]
    [InlineData(nameof(StageEffect.KeepEvidence))]
    [InlineData(nameof(StageEffect.Write))]
    public void A_tick_that_never_comes_back_from_an_effect_decides_nothing_and_the_next_good_one_does(string effect)
    {
        var world = new StageWorld();
        Many(world, Happening.Tick, Happening.Beat);
        Assert.Equal("", world.Undecided);

        world.Apply(Happening.KillRank);
        for (int i = 0; i < 30; i++)
        {
            world.Apply(Happening.Beat);
            Assert.True(world.TickFailingAt(e => e.GetType().Name == effect), $"a rank that ended asks for {effect}");
            Assert.True(i > 10 || world.Undecided.Length == 0, "a slow turn is no trouble yet");
        }

        Assert.StartsWith("the control plane has not been able to decide anything for ", world.Undecided, StringComparison.Ordinal);
        world.Apply(Happening.Tick);
        world.Apply(Happening.Beat);
        Assert.Equal("", world.Undecided);
    }

    private static void Many(StageWorld world, params Happening[] happenings)
    {
        for (int i = 0; i < 20; i++)
        {
            Array.ForEach(happenings, world.Apply);
        }
    }
}
