using DeepSeekOps.Worker.Agent;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

/// <summary>Long work between two steps says that it goes on, however many small pieces it has.</summary>
public sealed class PulseTests
{
    [Fact]
    public void Pieces_of_long_work_tell_its_progress_once_a_second_and_end_it_where_the_rank_has_to_stop()
    {
        using var link = new RecordingRankLink();
        var clock = new HandClock();
        var pulse = link.Pulse("rollout", 7, clock);
        Assert.Single(link.Reports);
        for (int tenth = 0; tenth < 100; tenth++)
        {
            clock.Now += TimeSpan.FromMilliseconds(100);
            pulse();
        }

        Assert.Equal(11, link.Reports.Count);
        Assert.All(link.Reports, r => Assert.Equal(("rollout", 7L), (r.Progress.Phase, r.Progress.Step)));
        link.OrderStop("enough", save: false);
        Assert.Throws<OperationCanceledException>(pulse);
    }

    private sealed class HandClock : TimeProvider
    {
        public TimeSpan Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }
}
