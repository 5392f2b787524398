namespace DeepSeekOps.Decisions.Recipes;

/// <summary>What a stage is handed by the ones before it.</summary>
public static class Lineage
{
    /// <summary>The stage whose last checkpoint this one begins with. Null: it begins at random, or with what was published.</summary>
    public static StageSpec? Origin(this PipelineSpec pipeline, StageSpec stage)
    {
        int index = pipeline.Stages.IndexOf(stage);
        return stage.BeginFrom.Length > 0 ? pipeline.Earlier(stage, stage.BeginFrom) : index > 0 ? pipeline.Stages[index - 1] : null;
    }

    /// <summary>The published checkpoint that it begins with: the first stage's, where the pipeline names one.</summary>
    public static PublishedCheckpoint? Published(this PipelineSpec pipeline, StageSpec stage) =>
        pipeline.Origin(stage) is null ? pipeline.ModelFrom : null;

    /// <summary>The stage of that name, if it comes before.</summary>
    public static StageSpec? Earlier(this PipelineSpec pipeline, StageSpec stage, string name) =>
        pipeline.Stages.Take(pipeline.Stages.IndexOf(stage)).FirstOrDefault(s => s.Name == name);

    /// <summary>The shape of the weights it begins with: a distillation hands on its student.</summary>
    public static ModelShape ShapeBefore(this PipelineSpec pipeline, StageSpec stage) =>
        pipeline.Origin(stage) is { } origin ? pipeline.ShapeAfter(origin) : pipeline.Model;

    public static ModelShape ShapeAfter(this PipelineSpec pipeline, StageSpec stage) =>
        stage.Recipe.ShapeAfter(pipeline.ShapeBefore(stage));

    /// <summary>The last context extension before it, whose positions are in force. Null: as in pretraining.</summary>
    public static ContextPhase? ExtensionBefore(this PipelineSpec pipeline, StageSpec stage) =>
        pipeline.Origin(stage) is { } origin ? pipeline.ExtensionAfter(origin) : null;

    public static ContextPhase? ExtensionAfter(this PipelineSpec pipeline, StageSpec stage) => stage.Recipe.ExtensionAfter(pipeline, stage);

    /// <summary>The longest sequence that the weights it begins with know.</summary>
    public static int ContextBefore(this PipelineSpec pipeline, StageSpec stage) =>
        pipeline.ExtensionBefore(stage)?.SequenceLength ?? pipeline.ShapeBefore(stage).ContextLength;
}
