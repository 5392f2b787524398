using DeepSeekOps.ControlPlane.Pipelines;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

public sealed class PipelineProblemTests
{
    [Fact]
    public void All_problems_come_at_once_each_with_its_place_and_a_fix()
    {
        string text = Examples.Mini
            .Replace("preset: mini ", "preset: v9 ", StringComparison.Ordinal)
            .Replace("team:", "teem:", StringComparison.Ordinal)
            .Replace("keep: 3", "keep: 1", StringComparison.Ordinal)
            .Replace("tokens: 600Ki", "tokens: lots", StringComparison.Ordinal)
            .Replace("window: 1h", "window: 60", StringComparison.Ordinal)
            .Replace("kind: rl", "kind: rk", StringComparison.Ordinal);
        var parsed = PipelineText.Parse(text);
        Assert.Null(parsed.Spec);
        Assert.Equal(
            ["teem", "model.preset", "checkpoints.keep", "recovery.window", "stages[0].tokens", "stages[3].kind"],
            parsed.Errors.Select(p => p.Field));
        Assert.All(parsed.Errors, p => Assert.True(p.Line > 0 && p.Column > 0 && p.Message.Length > 0 && p.Fix.Length > 0, p.ToString()));
        string[] lines = text.Split('\n');
        Assert.All(parsed.Errors, p => Assert.Contains(p.Value, lines[p.Line - 1], StringComparison.Ordinal));
        Assert.Contains("Did you mean 'team'?", parsed.Problems[0].Fix, StringComparison.Ordinal);
        Assert.Contains("mini, mini-student, v2, v2-lite, v3", parsed.Problems[1].Fix, StringComparison.Ordinal);
        Assert.Contains("60s", parsed.Problems[3].Fix, StringComparison.Ordinal);
        Assert.Contains("Did you mean 'rl'?", parsed.Problems[5].Fix, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("sequenceLength: 64", "sequenceLength: 60", "stages[0].sequenceLength", "does not divide")]
    [InlineData("sequenceLength: 64", "sequenceLength: -64", "stages[0].sequenceLength", "out of range")]
    [InlineData("sequenceLength: 64", "sequenceLenght: 64", "stages[0].sequenceLenght", "Unknown key")]
    [InlineData("sequenceLength: 64", "sequenceLength: [64]", "stages[0].sequenceLength", "a list")]
    [InlineData("sequenceLength: 64", "sequenceLength:", "stages[0].sequenceLength", "missing")]
    [InlineData("sequenceLength: 64", "tokens: 5", "stages[0].tokens", "twice, first in line 7")]
    [InlineData("sequenceLength: 64", "gamma: 1", "stages[0].sequenceLength", "is missing")]
    [InlineData("tokens: 64Ki", "tokens: 0.3", "stages[0].tokens", "not whole")]
    [InlineData("tokens: 64Ki", "tokens: 9999999T", "stages[0].tokens", "out of range")]
    [InlineData("batchSize: 8", "batchSize: {from: 8, to: 4}", "stages[0].batchSize", "falls")]
    [InlineData("batchSize: 8", "batchSize: {from: 4, to: 8, over: 65Ki}", "stages[0].batchSize", "longer than the stage")]
    [InlineData("batchSize: 8", "batchSize: {from: 4, to: 8, micro: 3}", "stages[0].batchSize", "multiples of 3")]
    [InlineData("batchSize: 8", "batchSize: {from: 4, to: 8, multipleOf: 3}", "stages[0].batchSize", "multiples of 3")]
    [InlineData("learningRate: 1e-3",
        "learningRate: [{shape: linear, to: 1, until: 4Ki}, {shape: constant, to: 1, until: 2Ki}, {shape: constant, to: 1}]",
        "stages[0].learningRate[1]", "ascending")]
    [InlineData("learningRate: 1e-3", "learningRate: [{shape: linear, to: 1, until: 65Ki}]", "stages[0].learningRate[0].until",
        "The stage ends before")]
    [InlineData("learningRate: 1e-3", "learningRate: [{shape: linear, to: 1}, {shape: constant, to: 1}]", "stages[0].learningRate[0]",
        "no end")]
    [InlineData("learningRate: 1e-3", "learningRate: [{shape: linear, to: 1, until: 1Ki, untilStep: 2}, {shape: constant, to: 1}]",
        "stages[0].learningRate[0]", "two ends")]
    [InlineData("learningRate: 1e-3", "learningRate: [{shape: cosinus, to: 1}]", "stages[0].learningRate[0].shape", "unknown")]
    [InlineData("learningRate: 1e-3", "learningRate: nan", "stages[0].learningRate", "not a number")]
    [InlineData("model: mini", "model: {preset: mini, groups: 3}", "model.groups", "equal groups")]
    [InlineData("model: mini", "model: {preset: mini, layers: 1000, routedExperts: 1024}", "model.routedExperts",
        "more than 250,000 in all")]
    [InlineData("model: mini", "model: {preset: mini, activeExperts: 9}", "model.activeExperts", "only 8")]
    [InlineData("model: mini", "model: {preset: mini, vocabSize: 100}", "model.vocabSize", "byte tokenizer")]
    [InlineData("model: mini", "model: {layers: 2}", "model", "hyper-parameters are missing")]
    [InlineData("model: mini", "model: mini\nparallelism: {pipeline: 2}", "parallelism.pipeline", "cannot be cut")]
    [InlineData("model: mini", "model: mini\nresources: {ranksPerNode: 3}", "stages[0].batchSize", "dealt evenly to 3")]
    [InlineData("model: mini", "model: mini\ndata: {source: builtin:poems}", "data.source", "no generator")]
    [InlineData("model: mini", "model: mini\ndata: {source: a.pdf}", "data.source", "not read")]
    [InlineData("kind: pretraining", "kind: pretraining\n    from: x", "stages[0].from", "not an earlier stage")]
    [InlineData("kind: pretraining", "kind: pretraining\n    gate: {metric: loss, below: 1}", "stages[0].gate", "none before it")]
    [InlineData("kind: pretraining", "kind: pretraining\n    gate: {metric: loss, stage: later, below: 1}", "stages[0].gate",
        "'later', which is not an earlier stage")]
    [InlineData("name: one", "name: One Two", "name", "not allowed")]
    [InlineData("name: one", "", "name", "is missing")]
    [InlineData("apiVersion: deepseekops/v1", "apiVersion: v2", "apiVersion", "unknown")]
    public void A_mistake_is_named_where_it_stands(string good, string bad, string field, string message)
    {
        var parsed = PipelineText.Parse(PipelineTextTests.OneStage.Replace(good, bad, StringComparison.Ordinal));
        Assert.Null(parsed.Spec);
        var problem = Assert.Single(parsed.Errors, p => p.Field == field && p.Message.Contains(message, StringComparison.Ordinal));
        Assert.NotEmpty(problem.Fix);
    }

    [Fact]
    public void A_missing_data_file_is_named_with_its_full_path()
    {
        var parsed =
            PipelineText.Parse($"{PipelineTextTests.OneStage}\ndata: {{source: \"here.txt,gone.txt\"}}", "/data",
                file => file == "/data/here.txt");
        var problem = Assert.Single(parsed.Errors);
        Assert.Equal("data.source", problem.Field);
        Assert.Contains("/data/gone.txt", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Two_stages_of_one_name_and_a_gate_that_nothing_passes_are_found()
    {
        var parsed = PipelineText.Parse(Examples.Mini
            .Replace("name: sft", "name: extend", StringComparison.Ordinal)
            .Replace("kind: rl", "kind: rl\n    gate: [approval, {metric: loss, above: 3, below: 2}]", StringComparison.Ordinal));
        Assert.Equal(["stages[2].name", "stages[3].gate[1]"], parsed.Errors.Select(p => p.Field));
    }

    [Theory]
    [InlineData("a: &x [1]\nb: *x", "Anchors")]
    [InlineData("<<: {a: 1}", "Merge keys")]
    [InlineData("a: 1\n---\nb: 2", "more than one document")]
    [InlineData("", "empty")]
    [InlineData("# nothing", "empty")]
    [InlineData("a: 'x", "not YAML")]
    [InlineData("a:\n  b: 1\n c: 2", "not YAML")]
    [InlineData("? [1]\n: 2", "A key is a word")]
    [InlineData("[1, 2]", "Expected a pipeline here")]
    [InlineData("just words", "Expected a pipeline here")]
    [InlineData("%YAML 9.9\n---\na: 1", "YAML")]
    public void Text_that_is_no_pipeline_is_refused_in_words(string text, string message) =>
        Assert.Contains(message, Assert.Single(PipelineText.Parse(text).Errors).Message, StringComparison.Ordinal);

    [Fact]
    public void Text_that_could_blow_up_is_refused_in_words()
    {
        Assert.Contains("nested deeper", Assert.Single(PipelineText.Parse(new string('[', 100_000)).Errors).Message,
            StringComparison.Ordinal);
        Assert.Contains("characters", Assert.Single(PipelineText.Parse(new string('x', 2_000_000)).Errors).Message,
            StringComparison.Ordinal);
        string wide = $"a: [{string.Join(',', Enumerable.Range(0, 30_000))}]";
        Assert.Contains("more than 20,000 values", Assert.Single(PipelineText.Parse(wide).Errors).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_doubtful_pipeline_runs_with_a_warning()
    {
        var parsed =
            PipelineText.Parse($"{PipelineTextTests.OneStage}\n    gamma: {{before: 1, after: 0, at: "
                + $"1M}}\ncheckpoints: {{everySteps: 1000}}");
        Assert.NotNull(parsed.Spec);
        Assert.Equal(["stages[0].name", "stages[0].gamma"], parsed.Warnings.Select(w => w.Field));
    }

    [Fact]
    public void Fp8_wants_lengths_that_divide_into_its_tiles()
    {
        var parsed = PipelineText.Parse($"{PipelineTextTests.OneStage}\nprecision: fp8");
        Assert.Contains("tiles of 128", Assert.Single(parsed.Errors).Message, StringComparison.Ordinal);
    }
}
