namespace DeepSeekOps.Recipes.Pipelining;

public enum PipelineWork
{
    Forward,

    /// <summary>Gradients of what came in, and of the weights.</summary>
    Backward,

    /// <summary>Gradients of what came in: those of the weights are made later, by <see cref="BackwardWeights"/>.</summary>
    BackwardInputs,

    BackwardWeights,
}

/// <summary>
/// One thing that a pipeline rank does next. What it needs from another rank and what it sends to one follow from its piece
/// (<see cref="PipelineRoute"/>).
/// </summary>
/// <param name="Piece">Of the model, from 0: the first has the embedding, the last the head.</param>
/// <param name="MicroBatch">From 0.</param>
/// <param name="Beside">
/// It runs at the same time as the task before it: a forward and a backward of two micro-batches, so that the traffic of each passes under
/// the products of the other.
/// </param>
public readonly record struct PipelineTask(PipelineWork Work, int Piece, int MicroBatch, bool Beside = false)
{
    public bool IsForward => Work == PipelineWork.Forward;

    /// <summary>It makes the gradient of what came into the piece.</summary>
    public bool MakesInputGradient => Work is PipelineWork.Backward or PipelineWork.BackwardInputs;

    /// <summary>After it nothing of the micro-batch's forward pass through the piece is needed any more.</summary>
    public bool MakesWeightGradient => Work is PipelineWork.Backward or PipelineWork.BackwardWeights;
}
