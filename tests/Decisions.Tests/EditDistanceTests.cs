using CsCheck;
using Xunit;

namespace DeepSeekOps.Decisions.Tests;

public sealed class EditDistanceTests
{
    [Theory]
    [InlineData("shwo", "show", 1)]
    [InlineData("qeueu", "queue", 2)]
    [InlineData("fst", "sft", 1)]
    [InlineData("Tokns", "tokens", 1)]
    [InlineData("", "abc", 3)]
    public void A_swap_of_neighbours_counts_once(string written, string known, int distance) =>
        Assert.Equal(distance, EditDistance.Between(written, known));

    [Fact]
    public void It_is_symmetric_and_zero_for_the_same_word() =>
        Gen.Select(Gen.String[Gen.Char['a', 'e'], 0, 12], Gen.String[Gen.Char['a', 'e'], 0, 12]).Sample((a, b) =>
        {
            Assert.Equal(EditDistance.Between(a, b), EditDistance.Between(b, a));
            Assert.Equal(0, EditDistance.Between(a, a));
            Assert.InRange(EditDistance.Between(a, b), Math.Abs(a.Length - b.Length), Math.Max(a.Length, b.Length));
        });

    [Fact]
    public void A_word_of_a_million_letters_is_answered_at_once() =>
        Assert.False(EditDistance.IsNear(new string('x', 1_000_000), "show"));
}
