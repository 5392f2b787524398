using CsCheck;
using DeepSeekOps.Worker.Agent;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

public sealed class AwakeClockTests
{
    private readonly TwoClocks clocks = new();

    [Theory]
    [InlineData(90)]
    [InlineData(660)]
    [InlineData(10_800)]
    [InlineData(-3_600)]
    public void A_clock_that_is_set_changes_no_duration_and_is_told(int seconds)
    {
        var awake = new AwakeClock(clocks);
        var before = awake.Now;
        clocks.Set(TimeSpan.FromSeconds(seconds));
        clocks.Pass(TimeSpan.FromSeconds(1));
        Assert.Contains("clock", awake.Look(), StringComparison.Ordinal);
        Assert.Equal(TimeSpan.FromSeconds(1), awake.Now - before);
        Assert.Null(awake.Look());
    }

    [Fact]
    public void Time_in_which_the_agent_stood_is_not_counted_and_is_told()
    {
        var awake = new AwakeClock(clocks);
        var before = awake.Now;
        clocks.Pass(TimeSpan.FromSeconds(75));
        Assert.Contains("stood still for 75 s", awake.Look(), StringComparison.Ordinal);
        Assert.Equal(TimeSpan.Zero, awake.Now - before);
    }

    [Fact]
    public void Short_turns_add_up_and_time_never_goes_back() =>
    Gen.Select(Gen.Int[0, 20_000], Gen.Int[-10_000, 10_000]).Array[1, 50].Sample(turns =>
    {
        var clocks = new TwoClocks();
        var awake = new AwakeClock(clocks);
        var (begin, last, ran) = (awake.Now, awake.Now, TimeSpan.Zero);
        foreach (var (passed, set) in turns)
        {
            var turn = TimeSpan.FromMilliseconds(passed);
            clocks.Set(TimeSpan.FromMilliseconds(set));
            clocks.Pass(turn);
            awake.Look();
            ran += turn > AwakeClock.Late ? TimeSpan.Zero : turn;
            Assert.True(awake.Now >= last);
            last = awake.Now;
        }

        Assert.Equal(ran, last - begin);
    });

    /// <summary>A wall clock that is set, beside one that is not.</summary>
    private sealed class TwoClocks : TimeProvider
    {
        private DateTimeOffset wall = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        private long ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public void Set(TimeSpan by) => wall += by;

        public void Pass(TimeSpan time)
        {
            wall += time;
            ticks += time.Ticks;
        }

        public override DateTimeOffset GetUtcNow() => wall;

        public override long GetTimestamp() => ticks;
    }
}
