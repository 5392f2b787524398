namespace DeepSeekOps.Recipes.Pipelining;

public enum PipelineWork
{
    Forward,

    /// <summary>Gradients of what came in and of the weights.</summary>
    Backward,
}

/// <summary>One thing that a pipeline rank does next.</summary>
/// <param name="MicroBatch">From 0.</param>
public readonly record struct PipelineTask(PipelineWork Work, int MicroBatch);
