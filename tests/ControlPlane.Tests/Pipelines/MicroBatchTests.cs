using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Pipelining;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

/// <summary>One word says how many sequences a rank takes at once, and what is forecast is what is trained.</summary>
public sealed class MicroBatchTests
{
    private const int Sequence = 128;

    public static TheoryData<string, string, int, int> Files => new()
    {
        // parallelism, batchSize, sequences at once of a rank's eight, and what sizes are multiples of
        { "{}", "16", 8, 1 },
        { "{microBatch: 2}", "16", 2, 1 },
        { "{microBatch: 2}", "{from: 8, to: 16, over: 10%, multipleOf: 4}", 2, 4 },
        { "{}", "{from: 8, to: 16, over: 10%, multipleOf: 4}", 8, 4 },
        // As files before wrote it.
        { "{}", "{from: 8, to: 16, over: 10%, micro: 4}", 4, 4 },
        { "{microBatch: 1}", "{from: 8, to: 16, over: 10%, micro: 4}", 1, 4 },
        { "{pipeline: 2}", "8", 2, 1 },
    };

    [Theory]
    [MemberData(nameof(Files))]
    public void The_forecast_and_the_plan_of_a_rank_say_the_same(string parallelism, string batch, int atOnce, int grain)
    {
        string text = Examples.OfTests.Replace("stages:", $"parallelism: {parallelism}\nstages:", StringComparison.Ordinal)
            .Replace("nodes: 1", "nodes: 2", StringComparison.Ordinal);
        var parse = PipelineText.Parse(text.Replace(BatchOf(text), $"batchSize: {batch}", StringComparison.Ordinal));
        Assert.Empty(parse.Errors);
        var spec = parse.Spec!;
        var stage = spec.Stages.First(s => s.Recipe is StageRecipe.Pretraining);
        var recipe = (StageRecipe.Pretraining)stage.Recipe;
        var layout = spec.ParallelismOf(stage);
        var segment = Assert.Single(recipe.Segments(layout, spec.ResourcesOf(stage).Ranks));
        Assert.Equal(atOnce * Sequence, segment.ChunkTokens);

        var plan = TrainingPlans.ToProto(spec, stage.Name);
        int rows = plan.Pretraining.BatchSize.To / plan.Layout.Data;
        int said = plan.Layout.MicroBatch > 0 ? plan.Layout.MicroBatch : plan.Pretraining.BatchSize.Micro;
        Assert.Equal(atOnce, PipelineSchedules.RowsAtOnce(layout.Schedule, plan.Layout.Pipeline, rows, said));
        Assert.Equal(grain, recipe.BatchSize.Grain());
        Assert.Equal(recipe.BatchSize, ((StageRecipe.Pretraining)PipelineText.Parse(PipelineText.ToYaml(spec)).Spec!
            .Stage(stage.Name).Recipe).BatchSize);
    }

    private static string BatchOf(string text) =>
        text.Split('\n').First(l => l.TrimStart().StartsWith("batchSize:", StringComparison.Ordinal)).Trim();
}
