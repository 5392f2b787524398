namespace DeepSeekOps.Recipes.Pipelining;

/// <summary>
/// The published bubble of a step: a lower bound, for it knows of no sends and of no rank slower than others, and is given enough
/// micro-batches.
/// </summary>
public static class BubbleFormula
{
    /// <param name="ranks">Of the pipeline.</param>
    /// <param name="forward">Of one chunk, as the others in any unit of time.</param>
    /// <param name="backward">For inputs and weights together.</param>
    /// <param name="weights">The part of it that is for weights.</param>
    /// <returns>What each rank stands idle in one step; DeepSeek-V3, arXiv 2412.19437, table 2.</returns>
    public static double Of(PipelineSchedule schedule, int ranks, double forward, double backward, double weights) => schedule switch
    {
        PipelineSchedule.OneForwardOneBackward => (ranks - 1) * (forward + backward),
        PipelineSchedule.ZeroBubble => (ranks - 1) * (forward + backward - (2 * weights)),
        // A forward chunk and a backward one at once take as long as both here: nothing overlaps within a rank.
        PipelineSchedule.DualPipe => ((ranks / 2.0) - 1) * (forward + (2 * backward) - (3 * weights)),
        // As DualPipe of twice as many ranks, each of which it folds into one of these.
        PipelineSchedule.DualPipeV => (ranks - 1) * (forward + (2 * backward) - (3 * weights)),
        _ => throw new ArgumentOutOfRangeException(nameof(schedule), schedule, null),
    };
}
