using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Recipes;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

public sealed class TokenShareTests
{
    private const string Stage = """
        apiVersion: deepseekops/v1
        name: one
        model: mini
        stages:
          - name: p
            kind: pretraining
            tokens: 14.8T
            sequenceLength: 4Ki
            batchSize: {from: 3072, to: 15360, over: 3.168918918919%}
            learningRate:
              - {shape: linear,   to: 2.2e-4, untilStep: 2000}
              - {shape: constant, to: 2.2e-4, until: 67.567567567568%}
              - {shape: cosine,   to: 2.2e-5, until: 96.621621621622%}
              - {shape: constant, to: 7.3e-6, until: 100%}
            gamma: {before: 0.001, after: 0, at: 96.621621621622%}
            lambda: {before: 0.3, after: 0.1, at: 67.567567567568 %}
        """;

    [Fact]
    public void Shares_are_the_tokens_of_the_report_and_the_worker_sees_tokens()
    {
        var work = TrainingPlans.ToProto(PipelineText.Parse(Stage).Spec!, "p").Pretraining;
        Assert.Equal(469_000_000_000, work.BatchSize.OverTokens);
        Assert.Equal([0, 10_000_000_000_000, 14_300_000_000_000, 14_800_000_000_000], work.LearningRate.Pieces.Select(p => p.UntilTokens));
        Assert.Equal((14_300_000_000_000, 10_000_000_000_000), (work.Gamma.AtTokens, work.Lambda.AtTokens));
    }

    [Fact]
    public void The_examples_have_the_tokens_that_they_had_in_counts()
    {
        // mini.yaml may be tuned to other tokens: at those of the counts, its shares are the counts.
        string asMany =
            PipelineText.ToYaml(
                PipelineText.Parse(Examples.Mini, settings: [new PipelineSetting("stages.pretrain.tokens", "600Ki")]).Spec!);
        Assert.Empty(PipelineDiff.Between(With("mini", PretrainOf(Examples.OfTests)), With("mini", PretrainOf(asMany))));
        var v3 = PretrainOf(Examples.Read("deepseek-v3"));
        Assert.Equal((469_000_000_000, 14_300_000_000_000, 10_000_000_000_000),
            (v3.BatchSize.OverTokens, v3.Gamma.AtTokens, v3.Lambda.AtTokens));
        Assert.Equal([null, 10_000_000_000_000, 14_300_000_000_000, 14_633_000_000_000, 14_800_000_000_000],
            v3.LearningRate.Pieces.Select(p => p.UntilTokens));
    }

    [Fact]
    public void A_copy_with_other_tokens_has_its_milestones_where_they_were()
    {
        string yaml = PipelineText.ToYaml(PipelineText.Parse(Examples.Mini).Spec!);
        Assert.Contains("at: 96.6667%", yaml, StringComparison.Ordinal);
        var half =
            PretrainOf(
                PipelineText.ToYaml(PipelineText.Parse(yaml, settings: [new PipelineSetting("stages.pretrain.tokens", "300Ki")]).Spec!));
        Assert.Equal((307_200, 296_960, 207_360, 10_240),
            (half.Tokens, half.Gamma.AtTokens, half.Lambda.AtTokens, half.BatchSize.OverTokens));
        Assert.Equal([null, 204_800, 296_960, 303_616, 307_200], half.LearningRate.Pieces.Select(p => p.UntilTokens));
    }

    [Fact]
    public void A_share_and_its_count_are_the_same_pipeline()
    {
        var shares = PipelineText.Parse(Stage).Spec!;
        var counts = PipelineText.Parse(Stage.Replace("at: 96.621621621622%", "at: 14.3T", StringComparison.Ordinal)).Spec!;
        Assert.Empty(PipelineDiff.Between(shares, counts));
        Assert.Contains("stages[p].gamma.at: 14.3T -> 14.8T", PipelineDiff.Between(shares,
            PipelineText.Parse(Stage.Replace("after: 0, at: 96.621621621622%", "after: 0, at: 100%", StringComparison.Ordinal)).Spec!));
    }

    [Theory]
    [InlineData("at: 96.621621621622%", "at: 150%", "gamma.at", "150% of the stage's tokens is out of range. Write at most 100%.")]
    [InlineData("at: 96.621621621622%", "at: -5%", "gamma.at", "-5% of the stage's tokens is out of range. Write at least 0%.")]
    [InlineData("at: 96.621621621622%", "at: most%", "gamma.at", "'most%' is not a percentage.")]
    [InlineData("at: 96.621621621622%", "at: 0x1%", "gamma.at", "'0x1%' is not a percentage.")]
    [InlineData("over: 3.168918918919%", "over: 101%", "batchSize.over", "Write at most 100%.")]
    [InlineData("until: 100%", "until: 0%", "learningRate[3].until", "Write more than 0%.")]
    [InlineData("until: 67.567567567568%", "until: 99%", "learningRate[2]", "not ascending")]
    public void What_is_no_share_is_told_with_its_field_and_remedy(string good, string bad, string field, string said)
    {
        var problem = Assert.Single(PipelineText.Parse(Stage.Replace(good, bad, StringComparison.Ordinal)).Errors);
        Assert.Equal($"stages[0].{field}", problem.Field);
        Assert.Contains(said, $"{problem.Message} {problem.Fix}", StringComparison.Ordinal);
    }

    [Fact]
    public void Stages_that_count_in_steps_have_no_shares_of_tokens()
    {
        var problem = Assert.Single(PipelineText.Parse($$"""
            {{PipelineTextTests.OneStage}}
              - {name: s, kind: sft, instances: 800, sequenceLength: 64, batchSize: 2,
                  learningRate: [{shape: linear, to: 1e-3, until: 50%}]}
            """).Errors);
        Assert.Contains("Only pretraining counts its learning rate in tokens", problem.Message, StringComparison.Ordinal);
    }

    private static StageRecipe.Pretraining PretrainOf(string text) =>
        Assert.IsType<StageRecipe.Pretraining>(PipelineText.Parse(text).Spec!.Stage("pretrain").Recipe);

    private static PipelineSpec With(string name, StageRecipe recipe) =>
        new() { Name = name, Stages = [new StageSpec { Name = "pretrain", Recipe = recipe }] };
}
