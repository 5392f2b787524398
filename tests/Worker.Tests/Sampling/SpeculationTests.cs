using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Sampling;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Sampling;

[Collection(RandomNumbers.OneStream)]
public class SpeculationTests : DrawingTests
{
    private static readonly int[] Prompt = [256, 10, 20, 30, 10, 20];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Greedy_words_are_the_same_with_guesses_and_without(long seed)
    {
        using var model = Made(seed);
        var plain = new SpeculativeSampler(model, 0, seed, speculate: false).Continue(Prompt, 40, eos: -1, CancellationToken.None);
        var guessing = new SpeculativeSampler(model, 0, seed, speculate: true).Continue(Prompt, 40, eos: -1, CancellationToken.None);
        Assert.Equal(plain.Ids, guessing.Ids);
        Assert.Equal(40, plain.Passes);
        Assert.True(guessing.Guessed > 0);
        // Only a guess that stood last of all may be kept without saving a pass.
        Assert.InRange(guessing.Passes, 40 - guessing.Kept, 41 - guessing.Kept);
    }

    [Fact]
    public void The_cache_gives_the_module_the_same_words_as_a_whole_forward()
    {
        using var model = Made(4);
        using var scope = NewDisposeScope();
        var tokens = randint(0, 272, [1, 12], int64);
        var whole = model.Forward(tokens).MtpLogits[0]; // place i: from hidden i and token i + 1
        using var cache = model.NewCache(1, 12);
        using var drafts = model.NewDraftCache(1, 12);
        var hidden = model.DecodeEach(tokens, cache).Hidden;
        var first = model.DecodeFurther(hidden.narrow(1, 0, 6), tokens.narrow(1, 1, 6), drafts);
        var later = model.DecodeFurther(hidden.narrow(1, 6, 2), tokens.narrow(1, 7, 2), drafts);
        Assert.True(allclose(whole.select(1, 5), first, rtol: 1e-3, atol: 1e-3));
        Assert.True(allclose(whole.select(1, 7), later, rtol: 1e-3, atol: 1e-3));
    }

    [Fact]
    public void Judged_guesses_have_the_main_models_distribution_whatever_the_guesser_prefers()
    {
        double[] main = [0.5, 0.3, 0.2, 0];
        double[] guesser = [0.05, 0.15, 0.4, 0.4];
        var random = new SeededRandom(1, "test", 0);
        const int draws = 40_000;
        var counts = new int[4];
        for (var i = 0; i < draws; i++)
        {
            counts[SpeculativeChoice.Judge(main, guesser, SpeculativeChoice.Draw(guesser, ref random), ref random).Token]++;
        }

        for (var token = 0; token < 4; token++)
        {
            // Five standard errors of a share of 0.5 over so many draws.
            Assert.Equal(main[token], counts[token] / (double)draws, 0.0125);
        }
    }

    [Fact]
    public void The_same_seed_says_the_same_and_the_end_mark_ends_it()
    {
        using var model = Made(5);
        Continuation Say(int eos) => new SpeculativeSampler(model, 1, 7, speculate: true).Continue(Prompt, 30, eos, CancellationToken.None);
        var said = Say(-1).Ids;
        Assert.Equal(said, Say(-1).Ids);
        var end = said[9];
        Assert.Equal(said.Take(said.ToList().IndexOf(end) + 1), Say(end).Ids);
    }

    private static DeepSeekModel Made(long seed)
    {
        var model = new DeepSeekModel(ModelShapes.Presets["mini"] with { InitStd = 0.1, MtpDepth = 1 }, CPU);
        model.Initialise(seed);
        return model;
    }
}
