using System.Collections.Immutable;

namespace DeepSeekOps.Recipes.Pipelining;

/// <summary>Schedules in which every micro-batch goes from the first rank to the last.</summary>
internal static class OneWayOrder
{
    /// <summary>
    /// Rank r of R first takes R − 1 − r micro-batches forward, then one forward and one backward in turn, then the backwards that are
    /// left. At most R − r micro-batches are in flight on it.
    /// </summary>
    public static ImmutableArray<PipelineTask> OneForwardOneBackward(int ranks, int rank, int microBatches)
    {
        var tasks = ImmutableArray.CreateBuilder<PipelineTask>(2 * microBatches);
        InTurn(ranks, rank, microBatches, tasks, number => tasks.Add(new PipelineTask(PipelineWork.Backward, rank, number)));
        return tasks.ToImmutable();
    }

    /// <summary>
    /// The same, but the gradients of weights lag r micro-batches behind those of inputs: the later ranks have that many fewer in flight
    /// under 1F1B, so that with them all have at most R, and at the end they make what is left while the earlier ranks still wait.
    /// </summary>
    public static ImmutableArray<PipelineTask> ZeroBubble(int ranks, int rank, int microBatches)
    {
        var tasks = ImmutableArray.CreateBuilder<PipelineTask>(3 * microBatches);
        InTurn(ranks, rank, microBatches, tasks, number =>
        {
            tasks.Add(new PipelineTask(PipelineWork.BackwardInputs, rank, number));
            if (number >= rank)
            {
                tasks.Add(new PipelineTask(PipelineWork.BackwardWeights, rank, number - rank));
            }
        });
        for (int left = Math.Max(0, microBatches - rank); left < microBatches; left++)
        {
            tasks.Add(new PipelineTask(PipelineWork.BackwardWeights, rank, left));
        }

        return tasks.ToImmutable();
    }

    private static void InTurn(
        int ranks, int rank, int microBatches, ImmutableArray<PipelineTask>.Builder tasks, Action<int> backward)
    {
        int ahead = Math.Min(ranks - 1 - rank, microBatches);
        for (int forward = 0; forward < microBatches + ahead; forward++)
        {
            if (forward < microBatches)
            {
                tasks.Add(new PipelineTask(PipelineWork.Forward, rank, forward));
            }

            if (forward >= ahead)
            {
                backward(forward - ahead);
            }
        }
    }
}
