using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Throughput;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>What a pipeline would do, before the button is pressed.</summary>
internal static class PipelinePlans
{
    public static long Parameters(this PipelineSpec spec) => ParameterCount.Of(spec.Model).Total;

    public static Proto.PipelinePlan ToPlan(this PipelineSpec spec)
    {
        var count = ParameterCount.Of(spec.Model);
        return new Proto.PipelinePlan
        {
            Name = spec.Name, Parameters = count.Total, ActiveParameters = count.Active,
            Stages = { spec.Stages.Select(stage => ToPlan(spec, stage)) },
        };
    }

    private static Proto.StagePlan ToPlan(PipelineSpec spec, StageSpec stage)
    {
        var length = stage.Recipe.Length();
        var resources = spec.ResourcesOf(stage);
        int everySteps = Math.Max(1, spec.CheckpointsOf(stage).EverySteps);
        var shape = spec.ShapeAfter(stage);
        return new Proto.StagePlan
        {
            Name = stage.Name, Kind = stage.Kind, Steps = length.Steps, Tokens = (long)Math.Round(stage.Recipe.PlannedTokens()),
            Nodes = resources.Nodes,
            Ranks = resources.Nodes * resources.RanksPerNode,
            // The last step is saved whether or not it is one of every so many.
            Checkpoints = (int)Math.Min(int.MaxValue, (length.Steps + everySteps - 1) / everySteps),
            CheckpointBytes = CheckpointSize.Of(spec, stage),
            BeginsFrom = spec.Origin(stage) is { } origin ? $"the final checkpoint of {origin.Name}"
                : spec.ModelFrom is { } published ? published.Folder : "random initialisation",
            FlopsPerToken = TokenFlops.Of(shape, stage.Recipe.LongestSequence()).Training,
        };
    }
}
