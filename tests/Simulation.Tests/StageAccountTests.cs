using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Simulation;
using Xunit;

namespace DeepSeekOps.Simulation.Tests;

/// <summary>What stages book of themselves, beside what the virtual GPUs really did: both in the same ledger.</summary>
public sealed class StageAccountTests
{
    [Fact]
    public void What_stages_book_of_themselves_adds_up_and_is_what_their_gpus_did()
    {
        double told = 0, done = 0;
        for (int seed = 1; seed <= 40; seed++)
        {
            var world = SeedTests.Played(SmallWorld.Drawn(seed), Deciders.Real);
            Assert.All(world.Stages.Values, s => Assert.Equal(
                (s.Account?.Wall.Ticks ?? 0) * s.Wish.Work.Ranks, s.Account?.Booked.GpuTicks.Sum() ?? 0));
            told += world.Stages.Values.Sum(s => TimeSpan.FromTicks(s.Account?.Productive ?? 0).TotalHours);
            done += world.Ledger[GoodputBucket.Productive].TotalHours;
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"productive: {told:0.000} GPU-hours told, {done:0.000} done");
        Assert.InRange(told / done, 0.9, 1.1);
    }
}
