using CsCheck;
using DeepSeekOps.Decisions.Health;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Health;

/// <summary>One rank that stands makes all of its gang stand: it is named, and not those that wait for it.</summary>
public sealed class HungGangTests
{
    private const int Ranks = 4;

    [Fact]
    public void A_rank_that_the_kernel_stopped_is_named_soon_whatever_its_number_and_its_peers_are_not() =>
        Gen.Int[0, Ranks - 1].Sample(stopped =>
        {
            var failure = Look(TimeSpan.FromSeconds(12), rank => rank with { Halted = rank.Rank == stopped, CollectiveSequence = 70 });
            Assert.StartsWith($"rank {stopped} on ", failure?.Sentence, StringComparison.Ordinal);
            Assert.Contains("stopped, by SIGSTOP or a debugger", failure?.Sentence, StringComparison.Ordinal);
        }, iter: 10);

    [Fact]
    public void A_first_step_that_took_long_does_not_put_the_naming_of_a_stopped_rank_off()
    {
        Assert.Null(Steps(TimeSpan.FromSeconds(8.5), 9, 0.2, 0.2, 0.2));
        Assert.NotNull(Steps(TimeSpan.FromSeconds(8.7), 9, 0.2, 0.2, 0.2));
        Assert.Null(Steps(TimeSpan.FromSeconds(67), 19.9, 19.9, 19.9));
        Assert.NotNull(Steps(TimeSpan.FromSeconds(68), 19.9, 19.9, 19.9));

        static Failure? Steps(TimeSpan standing, params double[] seconds) =>
            Look(standing, rank => rank with { Halted = rank.Rank == 1 }, seen => seen with
            {
                Times = [.. seconds.Select((s, i) => new StepTime(i + 1, i + 1, s))],
                LongestStepSeconds = seconds.Max(),
            });
    }

    [Fact]
    public void Ranks_that_only_wait_are_given_their_whole_time() =>
        Assert.Null(Look(TimeSpan.FromSeconds(12), rank => rank with { CollectiveSequence = 70 }));

    [Fact]
    public void Of_ranks_that_all_stand_the_one_with_fewer_calls_is_named() =>
        Gen.Int[0, Ranks - 1].Sample(behind =>
        {
            var failure = Look(
                TimeSpan.FromMinutes(10), rank => rank with { CollectiveSequence = rank.Rank == behind ? 69 : 70 + (rank.Rank % 2) });
            Assert.Equal(FailureCause.RankHung, failure?.Cause);
            Assert.StartsWith($"rank {behind} on ", failure?.Sentence, StringComparison.Ordinal);
        }, iter: 10);

    private static Failure? Look(
        TimeSpan standing, Func<RankStatus, RankStatus> rank, Func<Observation, Observation>? seen = null)
    {
        var running = new RunningStage();
        running.Hear([.. Enumerable.Range(0, Ranks).Select(number =>
            rank(running.Rank(running.Stage) with { Rank = number, SinceProgress = standing }))]);
        var observed = running.Observe(running.Now);
        return FaultDetector.Find(
            running.Stage.Watched, running.Gang with { SlotsPerNode = Ranks }, seen?.Invoke(observed) ?? observed, running.Now.At);
    }
}
