using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>Whether every step's batch, as the recipe has it, can be dealt to so many ranks that take its rows.</summary>
public static class BatchDeals
{
    /// <summary>All that a ramp passes; of a very fine one its beginning, where a batch is smallest.</summary>
    public static IEnumerable<int> Sizes(BatchRamp ramp)
    {
        const int Most = 4096;
        int step = ramp.Grain();
        int first = ramp.At(0);
        return Enumerable.Range(0, Math.Min(Most, ((Math.Max(ramp.To, first) - first) / step) + 1)).Select(i => first + (i * step))
            .Append(ramp.To);
    }

    /// <summary>
    /// Another layout deals the batches as well as the whole one does: a plan may have stages that no worker of ours deals evenly.
    /// </summary>
    internal static bool AsWell(StageRecipe recipe, ParallelLayout whole, int columns, ParallelLayout other, int otherColumns) =>
        Evenly(recipe, other, otherColumns) || (!Evenly(recipe, whole, columns) && columns % otherColumns == 0
            && recipe.ContextRanks().All(sharing => otherColumns % sharing == 0));

    /// <summary>
    /// Each has rows, those that share experts as many as each other, and the schedule can run their micro-batches.
    /// </summary>
    /// <param name="columns">Ranks of one pipeline step.</param>
    internal static bool Evenly(StageRecipe recipe, ParallelLayout layout, int columns) => recipe.Match(
        pretraining => Sizes(pretraining.BatchSize).All(size => Deals(layout, size, columns, pretraining.BatchSize)),
        // Ranks that share one sequence are one to the batch.
        extension => extension.Phases.All(phase => columns % phase.ContextParallel == 0
            && Deals(layout, phase.BatchSize, columns / phase.ContextParallel)),
        tuning => Deals(layout, tuning.BatchSize, columns),
        reinforcement => Deals(layout, reinforcement.MiniBatch > 0 ? reinforcement.MiniBatch
            : reinforcement.Questions * reinforcement.GroupSize, columns),
        distillation => Deals(layout, distillation.BatchSize, columns));

    private static bool Deals(ParallelLayout layout, int size, int columns, BatchRamp? ramp = null)
    {
        int rows = size / columns;
        return rows > 0 && (layout.Expert == 1 || size % columns == 0)
            && (layout.Pipeline == 1 || PipelineSchedules.CountProblem(layout.Schedule, layout.Pipeline,
                PipelineSchedules.MicroBatches(rows, layout.RowsAtOnce(rows, ramp))) is null);
    }
}
