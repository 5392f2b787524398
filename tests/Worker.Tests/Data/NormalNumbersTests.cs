using CsCheck;
using DeepSeekOps.Worker.Data;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

public sealed class NormalNumbersTests
{
    private const int Many = 1 << 20;

    [Fact]
    public void Any_part_of_the_numbers_is_drawn_as_it_is_within_the_whole()
    {
        var whole = Drawn(new NormalNumbers(5, "a"), 0, 5000);
        Gen.Select(Gen.Int[0, 4999], Gen.Int[0, 5000]).Sample((first, count) =>
            Assert.Equal(whole.Skip(first).Take(count), Drawn(new NormalNumbers(5, "a"), first, Math.Min(count, 5000 - first))));
    }

    [Fact]
    public void Other_names_and_seeds_give_other_numbers()
    {
        var numbers = Drawn(new NormalNumbers(5, "a"), 0, 100);
        Assert.Empty(numbers.Intersect(Drawn(new NormalNumbers(5, "b"), 0, 100)));
        Assert.Empty(numbers.Intersect(Drawn(new NormalNumbers(6, "a"), 0, 100)));
    }

    [Fact]
    public void Mean_deviation_and_tails_are_those_of_the_normal_distribution()
    {
        var numbers = Drawn(new NormalNumbers(1, "weights"), 0, Many);
        // Four standard errors of a million draws each.
        Assert.Equal(0, numbers.Average(x => (double)x), 0.004);
        Assert.Equal(1, numbers.Average(x => (double)x * x), 0.0056);
        Assert.Equal(0, numbers.Zip(numbers.Skip(1)).Average(p => (double)p.First * p.Second), 0.004);
        Assert.Equal(0.6827, Share(numbers, 1), 0.002);
        Assert.Equal(0.9545, Share(numbers, 2), 0.001);
        Assert.Equal(0.9973, Share(numbers, 3), 0.0003);
        Assert.InRange(numbers.Max(Math.Abs), 4.2, 6.5);
    }

    [Fact]
    public void The_first_numbers_are_those_of_every_version()
    {
        // Drawn by Box and Muller's formulas in double precision: a change here changes the beginning of every run.
        var numbers = Drawn(new NormalNumbers(1, "model.embed_tokens.weight"), 0, 4);
        Assert.Equal(Expected(1, "model.embed_tokens.weight", 0).Concat(Expected(1, "model.embed_tokens.weight", 1)), numbers);
    }

    private static float[] Expected(long seed, string name, long pair)
    {
        var uniform = new SeededRandom(seed, $"normal {name}", 0);
        for (var i = 0L; i < 2 * pair; i++)
        {
            uniform.NextUInt64();
        }
        var radius = Math.Sqrt(-2 * Math.Log(((uniform.NextUInt64() >> 11) + 1) / (double)(1UL << 53)));
        var angle = 2 * Math.PI * uniform.NextDouble();
        return [(float)(radius * Math.Cos(angle)), (float)(radius * Math.Sin(angle))];
    }

    private static double Share(float[] numbers, double within) => numbers.Count(x => Math.Abs(x) < within) / (double)numbers.Length;

    private static float[] Drawn(NormalNumbers numbers, long first, int count)
    {
        var drawn = new float[count];
        numbers.Fill(drawn, first, deviation: 1);
        return drawn;
    }
}
