using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>Ranks of a gang as a view carries them.</summary>
public sealed class RankFoldTests
{
    [Fact]
    public void Of_2048_ranks_the_one_that_is_not_as_the_others_are_is_told_by_itself()
    {
        var fold = RankFold.Of(Ranks(2048, r => r == 77 ? RankState.Exited : RankState.Training));
        Assert.Equal((77, "node-9"), (Assert.Single(fold.Shown).Rank, fold.Shown[0].Node));
        Assert.Equal([new RankGroup(RankState.Training, 2047, 256)], fold.Folded);
    }

    [Fact]
    public void Of_many_that_fail_together_some_are_told_and_none_is_left_out_of_the_count()
    {
        var fold = RankFold.Of(Ranks(2048, r => r < 1000 ? RankState.Exited : RankState.Training));
        Assert.Equal(RankFold.OddShown, fold.Shown.Length);
        Assert.Equal([new RankGroup(RankState.Training, 1048, 131), new RankGroup(RankState.Exited, 984, 123)], fold.Folded);
    }

    [Fact]
    public void Whatever_the_ranks_do_each_of_them_is_told_once_and_few_things_are_told() =>
        Gen.Enum<RankState>().List[0, 3000].Sample(states =>
        {
            var all = Ranks(states.Count, r => states[r]);
            var fold = RankFold.Of(all);
            Assert.InRange(fold.Shown.Length + fold.Folded.Length, 0, RankFold.OddShown + Enum.GetValues<RankState>().Length);
            Assert.Equal(states.Count, fold.Shown.Length + fold.Folded.Sum(g => g.Ranks));
            foreach (var state in Enum.GetValues<RankState>())
            {
                Assert.Equal(
                    states.Count(s => s == state),
                    fold.Shown.Count(r => r.State == state) + fold.Folded.Where(g => g.State == state).Sum(g => g.Ranks));
            }

            Assert.True(states.Count > RankFold.InFull || fold.Folded.IsEmpty);
        }, iter: 200);

    private static ImmutableArray<RankView> Ranks(int count, Func<int, RankState> state) =>
        [.. Enumerable.Range(0, count).Select(r => new RankView(r, $"node-{r / 8}", 1, state(r), null, 1))];
}
