using CsCheck;
using DeepSeekOps.Decisions.Health;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Health;

/// <summary>One crash ends the peers of a rank too, each with its own words: the first by time is the one that is told.</summary>
public sealed class FirstExitTests
{
    [Fact]
    public void Of_ranks_that_ended_the_first_by_time_is_blamed_whatever_its_number() =>
        Gen.Int[0, 7].Select(Gen.Int[1, 8]).Sample((first, count) =>
        {
            var running = new RunningStage();
            int guilty = first % count;
            running.Hear([.. Enumerable.Range(0, count).Select(number => running.Rank(running.Stage) with
            {
                Rank = number, State = RankState.Exited, ExitCode = 1, Error = $"words of rank {number}",
                SinceExit = TimeSpan.FromSeconds(number == guilty ? 2 : 1),
            })]);
            var failure = FaultDetector.Find(running.Stage.Watched, running.Gang, running.Observe(running.Now), running.Now.At);
            Assert.Contains($"words of rank {guilty}", failure?.Sentence, StringComparison.Ordinal);
            Assert.Equal(running.Now.At - TimeSpan.FromSeconds(2), failure?.HappenedAt);
            string victims = count switch
            {
                1 => "",
                2 => "1 other rank on node-0 ended after it, as its victim",
                _ => $"{count - 1} other ranks on node-0 ended after it, as its victims",
            };
            Assert.EndsWith(victims, failure?.Sentence, StringComparison.Ordinal);
        }, iter: 30);

    /// <summary>Two agents' clocks part by more than a crash takes to reach the peers: what a victim says counts more.</summary>
    [Fact]
    public void Who_ended_because_it_lost_a_peer_is_not_blamed_though_it_was_seen_to_end_first()
    {
        var running = new RunningStage();
        running.Hear(
            Victim(running, 0, seconds: 3, of: 1), Ended(running, 1, seconds: 2), Victim(running, 2, seconds: 4, of: 1));
        var failure = FaultDetector.Find(running.Stage.Watched, running.Gang, running.Observe(running.Now), running.Now.At);
        Assert.Contains("words of rank 1", failure?.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void Victims_alone_wait_for_the_word_of_whom_they_lost_and_then_name_it()
    {
        var running = new RunningStage();
        running.Hear(Victim(running, 1, seconds: 0, of: 0));
        Assert.Null(FaultDetector.Find(running.Stage.Watched, running.Gang, running.Observe(running.Now), running.Now.At));
        var later = running.After(TimeSpan.FromSeconds(2));
        var failure = FaultDetector.Find(running.Stage.Watched, running.Gang, running.Observe(later), later.At);
        Assert.StartsWith($"rank 0 on {running.Node} was gone", failure?.Sentence, StringComparison.Ordinal);
        Assert.EndsWith("1 other rank lost it, and its own agent has not said how", failure?.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void Whoever_says_that_a_peer_ended_first_is_no_cause_whatever_its_agents_clock_says()
    {
        var running = new RunningStage();
        running.Hear(
            Ended(running, 0, seconds: 5) with { Error = "Rank 1 closed its connection. This rank ends because of it." },
            Ended(running, 1, seconds: 3) with { Error = "CUDA error: an illegal memory access was encountered" },
            Ended(running, 2, seconds: 2) with { Error = "words" });
        var failure = FaultDetector.Find(running.Stage.Watched, running.Gang, running.Observe(running.Now), running.Now.At);
        Assert.StartsWith("rank 1 on node-0 exited with code 1", failure?.Sentence, StringComparison.Ordinal);
        Assert.EndsWith("2 other ranks on node-0 ended after it, as its victims", failure?.Sentence, StringComparison.Ordinal);
        Assert.Equal("cuda-error", failure?.Exit?.Class);
    }

    private static RankStatus Victim(RunningStage running, int rank, int seconds, int of) =>
        Ended(running, rank, seconds) with { LostPeer = of };

    private static RankStatus Ended(RunningStage running, int rank, int seconds) => running.Rank(running.Stage) with
    {
        Rank = rank,
        State = RankState.Exited,
        ExitCode = 1,
        Error = $"words of rank {rank}",
        SinceExit = TimeSpan.FromSeconds(seconds),
    };
}
