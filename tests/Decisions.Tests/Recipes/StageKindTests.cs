using System.Text.Json;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Schedules;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Recipes;

/// <summary>What each kind of stage has to answer, whichever kinds there are.</summary>
public sealed class StageKindTests
{
    public static TheoryData<string> Kinds => [.. StageRecipe.Kinds.Keys];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_kind_is_saved_under_its_own_word_and_read_back(string kind)
    {
        var recipe = Example(kind);
        var words = typeof(StageRecipe).GetCustomAttributes(typeof(JsonDerivedTypeAttribute), false).Cast<JsonDerivedTypeAttribute>();
        Assert.Equal(kind, words.Single(w => w.DerivedType == recipe.GetType()).TypeDiscriminator);
        string saved = JsonSerializer.Serialize(recipe);
        Assert.Equal(saved, JsonSerializer.Serialize(JsonSerializer.Deserialize<StageRecipe>(saved)));
        Assert.DoesNotContain(nameof(StageRecipe.StatedError), saved, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Match_knows_every_kind(string kind) =>
        Assert.Equal(kind, StageRecipe.Kinds[kind].Match(p => p.Kind, c => c.Kind, s => s.Kind, r => r.Kind, d => d.Kind));

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Steps_and_tokens_of_a_kind_are_counted_alike_from_either_end(string kind)
    {
        var recipe = Example(kind);
        var (length, segments) = (recipe.Length(), recipe.Segments(new ParallelLayout(), ranks: 1));
        Assert.Equal(length.Steps, segments.Sum(s => s.Steps));
        Assert.Equal(recipe.PlannedTokens(), segments.Sum(s => s.Tokens), 1e-6);
        Assert.Equal(length.Tokens, recipe.TokensAt(length.Steps));
        long walked = 0;
        for (long step = 1; step <= length.Steps; step++)
        {
            walked = recipe.TokensAfter(step, walked);
            Assert.Equal(recipe.TokensAt(step), walked);
        }

        Assert.Equal(0, segments[^1].TokensLeft(0, length.Tokens));
        Assert.True(recipe.LongestSequence() >= segments.Max(s => s.Attends));
        Assert.InRange(recipe.StatedError, 0.001, 1);
        Assert.All(
            Enumerable.Range(0, (int)length.Steps), step => Assert.InRange(recipe.LearningRateAt(step, recipe.TokensAt(step)), 1e-9, 1));
    }

    private static StageRecipe Example(string kind) => StageRecipe.Kinds[kind].Match<StageRecipe>(
        p => p with
        {
            Tokens = 5_000,
            SequenceLength = 10,
            BatchSize = new BatchRamp { From = 3, To = 17, OverTokens = 2_000 },
            LearningRate = LearningRate.Constant(0.1),
        },
        c => c with { Phases = [Phase(20, 3), Phase(40, 5)] },
        s => s with { Instances = 25, Epochs = 2, SequenceLength = 30, BatchSize = 4, LearningRate = LearningRate.Constant(0.1) },
        r => r with { Steps = 6, Questions = 2, GroupSize = 4, MaxNewTokens = 8, LearningRate = LearningRate.Constant(0.1) },
        d => d with { Samples = 25, Epochs = 2, SequenceLength = 30, BatchSize = 4, LearningRate = LearningRate.Constant(0.1) });

    private static ContextPhase Phase(int length, long steps) =>
        new() { Name = $"{length}", SequenceLength = length, Steps = steps, BatchSize = 2, LearningRate = LearningRate.Constant(0.1) };
}
