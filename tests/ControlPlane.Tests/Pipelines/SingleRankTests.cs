using DeepSeekOps.ControlPlane.Pipelines;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

public sealed class SingleRankTests
{
    [Theory]
    [InlineData("nodes: 1", "nodes: 2", "resources.nodes", "2 × 1 = 2 ranks")]
    [InlineData("nodes: 1", "nodes: 1, ranksPerNode: 2", "resources.ranksPerNode", "1 × 2 = 2 ranks")]
    public void What_cannot_train_together_is_refused_where_it_would_run_and_planned_elsewhere(string good, string bad, string field,
        string words)
    {
        const string Text = """
            apiVersion: deepseekops/v1
            name: wide
            model: mini
            resources: {nodes: 1}
            stages:
              - {name: a, kind: pretraining, tokens: 1Mi, sequenceLength: 64, batchSize: 8, learningRate: 1e-3}
            """;
        Assert.DoesNotContain(PipelineText.Parse(Text, singleRanks: true).Errors,
            p => p.Field.StartsWith("resources", StringComparison.Ordinal));
        string wide = Text.Replace(good, bad, StringComparison.Ordinal);
        var problem = Assert.Single(PipelineText.Parse(wide, singleRanks: true).Errors);
        Assert.Equal((field, 4), (problem.Field, problem.Line));
        Assert.Contains(words, problem.Message, StringComparison.Ordinal);
        Assert.Contains("dsops plan", problem.Fix, StringComparison.Ordinal);
        Assert.Empty(PipelineText.Parse(wide).Errors);
    }

    [Fact]
    public void A_stage_of_its_own_width_is_named()
    {
        var parse = PipelineText.Parse(Examples.Read("deepseek-v3"), singleRanks: true);
        Assert.Contains(parse.Errors, p => p.Field == "resources.nodes");
        Assert.Contains(parse.Errors, p => p.Field.EndsWith("].resources.nodes", StringComparison.Ordinal));
        Assert.Empty(PipelineText.Parse(Examples.Mini, singleRanks: true).Errors);
    }
}
