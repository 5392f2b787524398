namespace DeepSeekOps.Recipes.Pipelining;

/// <summary>Order of a pipeline-parallel step. The numbers are stored: none is ever given another meaning.</summary>
public enum PipelineSchedule
{
    /// <summary>1F1B (PipeDream-Flush, Narayanan et al. 2021, arXiv 2104.04473 section 2.2).</summary>
    OneForwardOneBackward = 0,

    /// <summary>ZB1P (Qi et al. 2024, arXiv 2401.10241: ZB-H1): 1F1B with the gradients of weights made later, where 1F1B waits.</summary>
    ZeroBubble = 1,

    /// <summary>
    /// DualPipe (DeepSeek-V3, arXiv 2412.19437 section 3.2.1): half of the micro-batches from each end, forward of one beside backward of
    /// the other; every piece of the model lies on two ranks.
    /// </summary>
    DualPipe = 2,

    /// <summary>
    /// DualPipe's order on half of the ranks (deepseek-ai/DualPipe, "cut in half"): each has a piece of the first half of the model and the
    /// mirrored one of the second, and nothing lies twice.
    /// </summary>
    DualPipeV = 3,
}
