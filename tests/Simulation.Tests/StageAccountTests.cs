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
        int buckets = Enum.GetValues<GoodputBucket>().Length;
        var (told, done) = (new double[buckets], new double[buckets]);
        for (int seed = 1; seed <= 15; seed++)
        {
            var world = SeedTests.Played(SmallWorld.Drawn(seed), Deciders.Real);
            Assert.All(world.Stages.Values, s => Assert.Equal(
                (s.Account?.Wall.Ticks ?? 0) * s.Wish.Work.Ranks, s.Account?.Booked.GpuTicks.Sum() ?? 0));
            foreach (var bucket in Enum.GetValues<GoodputBucket>())
            {
                told[(int)bucket] += world.Stages.Values.Sum(s => TimeSpan.FromTicks(s.Account?.Of(bucket) ?? 0).TotalHours);
                done[(int)bucket] += world.Ledger[bucket].TotalHours;
            }
        }

        foreach (var bucket in Enum.GetValues<GoodputBucket>())
        {
            TestContext.Current.TestOutputHelper?.WriteLine($"{bucket}: {told[(int)bucket]:0.000} told, {done[(int)bucket]:0.000} done");
        }

        // What is slow or not known to the stage is training to the simulator, who sees all of it.
        double trained = told[(int)GoodputBucket.Productive] + told[(int)GoodputBucket.Straggler] + told[(int)GoodputBucket.Unknown];
        Assert.InRange(trained / done[(int)GoodputBucket.Productive], 0.9, 1.1);
    }
}
