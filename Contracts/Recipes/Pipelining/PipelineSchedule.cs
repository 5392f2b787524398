using System.Collections.Immutable;

namespace DeepSeekOps.Recipes.Pipelining;

/// <summary>What the ranks of a pipeline do in one step, as data: planner and worker read it from here.</summary>
public static class PipelineSchedule
{
    /// <summary>
    /// 1F1B (PipeDream-Flush, Narayanan et al. 2021, arXiv 2104.04473 section 2.2): rank r of R first takes R − 1 − r micro-batches
    /// forward, then one forward and one backward in turn, then the backwards that are left. At most R − r micro-batches are in flight on
    /// it.
    /// </summary>
    /// <param name="rank">Of the pipeline, from 0: the first has the embedding.</param>
    public static ImmutableArray<PipelineTask> OneForwardOneBackward(int ranks, int rank, int microBatches)
    {
        if (ranks < 1 || rank < 0 || rank >= ranks || microBatches < 1)
        {
            throw new ArgumentOutOfRangeException(nameof(rank), $"rank {rank} of {ranks} with {microBatches} micro-batches");
        }

        int ahead = Math.Min(ranks - 1 - rank, microBatches);
        var tasks = ImmutableArray.CreateBuilder<PipelineTask>(2 * microBatches);
        for (int forward = 0; forward < microBatches + ahead; forward++)
        {
            if (forward < microBatches)
            {
                tasks.Add(new PipelineTask(PipelineWork.Forward, forward));
            }

            if (forward >= ahead)
            {
                tasks.Add(new PipelineTask(PipelineWork.Backward, forward - ahead));
            }
        }

        return tasks.ToImmutable();
    }
}
