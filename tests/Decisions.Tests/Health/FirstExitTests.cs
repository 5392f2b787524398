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
}
