using DeepSeekOps.ControlPlane.Pipelines;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

/// <summary>What ranks of this version do not train together is refused where it would be trained, and planned elsewhere.</summary>
public sealed class GangCheckTests
{
    private const string Text = """
        apiVersion: deepseekops/v1
        name: wide
        model: mini
        resources: {nodes: 2, ranksPerNode: 2}
        parallelism: {pipeline: 1}
        stages:
          - {name: a, kind: pretraining, tokens: 1Mi, sequenceLength: 64, batchSize: 8, learningRate: 1e-3}
          - {name: b, kind: sft, from: a, instances: 100, sequenceLength: 64, batchSize: 8, learningRate: 1e-3}
          - {name: c, kind: rl, from: b, steps: 10, questions: 4, groupSize: 4, maxNewTokens: 8, learningRate: 1e-4, miniBatch: 8}
        """;

    [Theory]
    [InlineData("parallelism: {pipeline: 1}", "parallelism: {tensor: 2}", "parallelism.tensor", "do not share one matrix")]
    [InlineData("parallelism: {pipeline: 1}", "parallelism: {zero: 2}", "parallelism.zero", "only their optimizer states")]
    [InlineData("kind: sft,", "kind: sft, parallelism: {pipeline: 2},", "stages[1].parallelism.pipeline", "kind sft is not cut")]
    [InlineData("miniBatch: 8", "miniBatch: 2", "stages[2].miniBatch", "fewer outputs than the 4 ranks")]
    [InlineData("sequenceLength: 64, batchSize: 8, learningRate: 1e-3}\n  - {name: b",
        "parallelism: {expert: 2}, sequenceLength: 64, batchSize: {from: 4, to: 8, over: 10%}, learningRate: 1e-3}\n  - {name: b",
        "stages[0].batchSize", "sizes that cannot be dealt evenly to 4 ranks")]
    public void What_is_not_built_is_refused_where_it_would_run_and_planned_elsewhere(string good, string bad, string field, string words)
    {
        Assert.Empty(PipelineText.Parse(Text, trains: true).Errors);
        string asked = Text.Replace(good, bad, StringComparison.Ordinal);
        Assert.NotEqual(Text, asked);
        var problem = PipelineText.Parse(asked, trains: true).Errors.First();
        Assert.Equal(field, problem.Field);
        Assert.Contains(words, problem.Message, StringComparison.Ordinal);
        Assert.Contains("dsops plan", problem.Fix, StringComparison.Ordinal);
        Assert.Empty(PipelineText.Parse(asked).Errors);
    }

    private const string Extension = """
        apiVersion: deepseekops/v1
        name: long
        model: {preset: mini}
        resources: {nodes: 1, ranksPerNode: 4}
        stages:
          - {name: a, kind: pretraining, tokens: 1Mi, sequenceLength: 64, batchSize: 8, learningRate: 1e-3}
          - name: b
            kind: context-extension
            from: a
            phases:
              - {name: far, sequenceLength: 256, steps: 5, batchSize: 4, contextParallel: 2, learningRate: 1e-4}
              - {name: further, sequenceLength: 512, steps: 5, batchSize: 2, contextParallel: 4, learningRate: 1e-4}
        """;

    [Theory]
    [InlineData("", "", "", "")]
    [InlineData("contextParallel: 2", "contextParallel: 3", "stages[1].phases[0].contextParallel", "cut into 6 equal chunks")]
    [InlineData("sequenceLength: 512", "sequenceLength: 500", "stages[1].phases[1].contextParallel", "8 equal chunks")]
    [InlineData("contextParallel: 2", "contextParallel: 8", "stages[1].phases[0].contextParallel", "a contextParallel that divides 4")]
    [InlineData("contextParallel: 4", "contextParallel: 2", "", "")]
    [InlineData("batchSize: 4, contextParallel", "batchSize: 3, contextParallel", "stages[1].phases[0].batchSize", "multiple of 2")]
    public void Sequences_are_shared_by_ranks_where_they_can_be(string good, string other, string field, string words)
    {
        string asked = good.Length == 0 ? Extension : Extension.Replace(good, other, StringComparison.Ordinal);
        var problems = PipelineText.Parse(asked, trains: true).Errors.ToList();
        bool told = problems.Exists(p => p.Field == field && $"{p.Message} {p.Fix}".Contains(words, StringComparison.Ordinal));
        Assert.True(field.Length > 0 ? told : problems.Count == 0, string.Join("; ", problems));
    }

    /// <summary>Alone it needs twice as many micro-batches as ranks; a ramp passes sizes that are refused before it starts.</summary>
    [Theory]
    [InlineData("{pipeline: 2, schedule: dualpipev}", "16", null)]
    [InlineData("{pipeline: 2, schedule: zb1p}", "2", null)]
    [InlineData("{pipeline: 2, schedule: dualpipev}", "4", "at least 4 micro-batches a step, and there are 2.")]
    [InlineData("{pipeline: 4, schedule: dualpipe}", "9", "an even number of at least 8 micro-batches a step, and there are 9.")]
    [InlineData("{pipeline: 2, schedule: dualpipe}", "{from: 8, to: 12, over: 10%, micro: 1}", "and there are 5.")]
    [InlineData("{pipeline: 2, schedule: dualpipe}", "{from: 8, to: 16, over: 10%, micro: 2}", "and there are 2.")]
    [InlineData("{pipeline: 2, schedule: dualpipe}", "16", null)]
    public void A_batch_whose_micro_batches_a_schedule_cannot_run_is_refused(string layout, string batch, string? words)
    {
        string asked = Text.Replace("parallelism: {pipeline: 1}", $"parallelism: {layout}", StringComparison.Ordinal)
            .Replace("sequenceLength: 64, batchSize: 8, learningRate: 1e-3}\n  - {name: b",
                $"sequenceLength: 64, batchSize: {batch}, learningRate: 1e-3}}\n  - {{name: b", StringComparison.Ordinal)
            .Replace("kind: sft,", "kind: sft, parallelism: {pipeline: 1, schedule: 1f1b},", StringComparison.Ordinal)
            .Replace("kind: rl,", "kind: rl, parallelism: {pipeline: 1, schedule: 1f1b},", StringComparison.Ordinal);
        var problems = PipelineText.Parse(asked, trains: true).Errors.ToList();
        Assert.Equal(words is null ? [] : ["stages[0].batchSize"], problems.Select(p => p.Field));
        Assert.All(problems, p => Assert.Contains(words!, p.Message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("mini")]
    [InlineData("mini-gang")]
    public void What_is_shown_as_an_example_trains(string example) =>
        Assert.Empty(PipelineText.Parse(Examples.Read(example), trains: true).Errors);

    [Fact]
    public void A_layout_of_the_full_size_is_refused_by_what_is_missing() => Assert.Contains(
        PipelineText.Parse(Examples.Read("deepseek-v3"), trains: true).Errors,
        p => p.Message.Contains("is not cut into pipelines", StringComparison.Ordinal));
}
