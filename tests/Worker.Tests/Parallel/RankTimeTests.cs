using System.Globalization;
using DeepSeekOps.Worker.Parallel;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Parallel;

/// <summary>Costs half a second: work is counted until the kernel says that a thread has had so much of a core.</summary>
public sealed class RankTimeTests
{
    private static readonly TimeSpan Work = TimeSpan.FromMilliseconds(40);
    private static readonly TimeSpan Wait = TimeSpan.FromMilliseconds(60);

    [Fact]
    public void What_is_waited_in_calls_is_no_work_of_its_own_and_only_finished_steps_count()
    {
        using var time = new RankTime();
        time.BeginStep();
        Compute();
        Call(time, Wait);
        Assert.Equal((0.0, 0.0), (time.Finished.Own, time.Finished.Waited));
        time.EndStep();
        var (own, waited, queued) = time.Finished;
        // A wait is counted in whole milliseconds of a clock that is not the one that measures it.
        Assert.InRange(waited, 0.9 * Wait.TotalSeconds, 60);
        Assert.InRange(own, 0.9 * Work.TotalSeconds, waited + own);
        Assert.True(queued >= 0);
        time.BeginStep();
        Call(time, TimeSpan.Zero);
        time.EndStep();
        Assert.InRange(time.Finished.Own - own, 0, 10 * Work.TotalSeconds);
    }

    [Fact]
    public void A_rank_that_is_asked_to_be_slow_takes_as_many_times_as_long_for_its_own_work_until_it_is_over()
    {
        using var time = new RankTime();
        RankTime.Spent Step()
        {
            var before = time.Finished;
            time.BeginStep();
            for (int i = 0; i < 4; i++)
            {
                Compute();
                Call(time, TimeSpan.Zero);
            }

            time.EndStep();
            var after = time.Finished;
            return new RankTime.Spent(after.Own - before.Own, after.Waited - before.Waited, after.Queued - before.Queued);
        }

        // At least: a busy machine makes any of it longer. Who wakes late, since others have the core, has been slow for that long too.
        time.SlowDown(3, TimeSpan.FromMinutes(5));
        var slow = Step();
        double asked = slow.Own + slow.Queued;
        Assert.InRange(asked, 2.5 * 4 * Work.TotalSeconds, double.MaxValue);
        time.SlowDown(3, TimeSpan.Zero);
        Assert.InRange(Step().Own, 0, asked);
    }

    private static void Call(RankTime time, TimeSpan wait)
    {
        long entered = time.Enter();
        using var never = new ManualResetEventSlim();
        never.Wait(wait);
        time.Leave(entered);
    }

    /// <summary>A fixed amount of it, however busy the machine is.</summary>
    private static void Compute()
    {
        double x = 1;
        var began = Cpu();
        while (Cpu() - began < Work)
        {
            for (int i = 0; i < 2_000; i++)
            {
                x = Math.Sqrt(x + i);
            }
        }

        Assert.True(double.IsFinite(x));
    }

    /// <summary>Of this thread: its first number there is nanoseconds on a core.</summary>
    private static TimeSpan Cpu()
    {
        string nanoseconds = File.ReadAllText("/proc/thread-self/schedstat").Split(' ')[0];
        return TimeSpan.FromMicroseconds(long.Parse(nanoseconds, CultureInfo.InvariantCulture) / 1000.0);
    }
}
