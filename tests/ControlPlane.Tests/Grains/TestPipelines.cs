using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

internal static class TestPipelines
{
    /// <summary>Stages of so many steps each, trained on one rank.</summary>
    public static RunSubmission Of(string name, params (string Stage, int Steps)[] stages) => new(name, new PipelineSpec
    {
        Name = name,
        Stages = [.. stages.Select(s => new StageSpec
        {
            Name = s.Stage,
            Recipe = new StageRecipe.ReinforcementLearning { Steps = s.Steps, Questions = 1, GroupSize = 2, MaxNewTokens = 8 },
        })],
    }, $"name: {name}");
}
