using System.Collections.Immutable;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Health;

/// <summary>A batch that the stage does not train, since a number became not finite in its step.</summary>
/// <param name="Batch">Its number in the stage's data order, from 1.</param>
/// <param name="Step">The step that it broke.</param>
/// <param name="Attempt">The attempt that was broken.</param>
/// <param name="Why">In words.</param>
public sealed record LeftOutBatch(long Batch, long Step, int Attempt, string Why);

/// <summary>
/// Which batch a step takes. Leaving one out moves all later data up by one: the stage makes as many steps on as many tokens as planned,
/// and its schedules know nothing of it.
/// </summary>
public static class BatchOrder
{
    /// <param name="leftOut">Numbers of batches, each once.</param>
    public static long BatchOf(long step, IEnumerable<long> leftOut)
    {
        long batch = step;
        foreach (long left in leftOut.Order())
        {
            if (left > batch)
            {
                break;
            }

            batch++;
        }

        return batch;
    }

    /// <summary>All of them, ascending: what broke, and the windows in which a loss rose.</summary>
    public static ImmutableArray<long> LeftOut(ImmutableArray<LeftOutBatch> broken, ImmutableArray<LossAct> acts)
    {
        var all = broken.Select(b => b.Batch).ToHashSet();
        foreach (var act in acts.Where(a => a.Stands && a.FirstBatch > 0))
        {
            for (long batch = act.FirstBatch; batch <= act.LastBatch; batch++)
            {
                all.Add(batch);
            }
        }

        return [.. all.Order()];
    }
}
