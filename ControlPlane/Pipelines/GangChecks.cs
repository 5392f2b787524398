using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>What several ranks of this version train together; plans and simulated clusters take more.</summary>
internal static class GangChecks
{
    private const string Elsewhere = "`dsops plan`, `dsops simulate` and `dsops dev --cluster simulated` take the whole layout.";

    public static void Check(PipelineSpec spec, StageSpec stage, string at, Reading reading)
    {
        var layout = spec.ParallelismOf(stage);
        int ranks = spec.ResourcesOf(stage).Ranks;
        if (!reading.Trains || ranks == 1)
        {
            return;
        }

        string parallelism = stage.Parallelism is not null ? $"{at}.parallelism" : "parallelism";
        string[] with = ["resources", $"{at}.resources", "parallelism"];
        void Built(bool built, string field, string message, string fix) =>
            reading.Check(built, field, message, $"{fix} {Elsewhere}", with);

        Built(layout.Tensor == 1, $"{parallelism}.tensor", "Ranks of this version do not share one matrix.", "Write 'tensor: 1'.");
        Built(layout.Zero <= 1, $"{parallelism}.zero",
            $"Ranks do not deal gradients or weights (ZeRO stage {layout.Zero}), only their optimizer states.",
            "Write 'zero: 1'.");
        Built(layout.Pipeline == 1 || stage.Recipe.CutsIntoPipelines, $"{parallelism}.pipeline",
            $"A stage of kind {stage.Recipe.Kind} is not cut into pipelines in this version.", "Write 'pipeline: 1' for it.");
        if (layout.Pipeline * layout.Tensor is > 0 and var cut && ranks % cut == 0)
        {
            Rows(spec, stage, ranks / cut, at, Built);
        }
    }

    /// <summary>Ranks that share experts meet in each layer of each micro-batch, and so must have as many of them.</summary>
    private static void Rows(PipelineSpec spec, StageSpec stage, int dealt, string at, Action<bool, string, string, string> built)
    {
        var layout = spec.ParallelismOf(stage);
        // Nothing is asked of the batches of the other two.
        stage.Recipe.Match<Action>(
            pretraining: recipe => () => Ramp(layout, recipe.BatchSize, dealt, at, built),
            contextExtension: recipe => () => Phases(spec, stage, recipe, dealt, at, built),
            fineTuning: _ => () => { },
            reinforcement: recipe => () => MiniBatch(recipe, dealt, at, built),
            distillation: _ => () => { })();
    }

    private static void Ramp(ParallelLayout layout, BatchRamp ramp, int dealt, string at, Action<bool, string, string, string> built)
    {
        MicroBatches(layout, BatchDeals.Sizes(ramp), dealt, ramp, $"{at}.batchSize", built);
        built(layout.Expert == 1 || ramp.From == ramp.To || ramp.Grain() % dealt == 0, $"{at}.batchSize",
            $"On its way from {ramp.From} to {ramp.To} the batch takes sizes that cannot be dealt evenly to {dealt} ranks of which "
                + $"{layout.Expert} share experts.",
            $"Write 'multipleOf: {dealt}' into batchSize, or a constant one.");
    }

    private static void Phases(
        PipelineSpec spec, StageSpec stage, StageRecipe.ContextExtension extension, int dealt, string at,
        Action<bool, string, string, string> built)
    {
        var (layout, model, precision) = (spec.ParallelismOf(stage), spec.ShapeAfter(stage), spec.Precision);
        for (int i = 0; i < extension.Phases.Length; i++)
        {
            var phase = extension.Phases[i];
            int sharing = phase.ContextParallel;
            if (sharing > 0 && dealt % sharing == 0)
            {
                MicroBatches(layout, [phase.BatchSize], dealt / sharing, null, $"{at}.phases[{i}].batchSize", built);
            }
            Parts(phase, model, precision, $"{at}.phases[{i}].contextParallel", built);
        }
    }

    /// <summary>
    /// Each of the ranks that share a sequence takes two chunks of it (the worker's SequencePart): as long as each other, and longer than
    /// what modules that predict further leave out at its end.
    /// </summary>
    private static void Parts(
        ContextPhase phase, ModelShape model, Precision precision, string field, Action<bool, string, string, string> built)
    {
        int chunks = 2 * phase.ContextParallel;
        if (phase.ContextParallel <= 1)
        {
            return;
        }

        int tokens = phase.SequenceLength / phase.ContextParallel;
        built(phase.SequenceLength % chunks == 0 && phase.SequenceLength / chunks > model.MtpDepth, field,
            $"{phase.SequenceLength} tokens cannot be cut into {chunks} equal chunks of more than {model.MtpDepth}: each of the "
                + $"{phase.ContextParallel} ranks that share a sequence takes one of its first half and one of its second.",
            $"Write a contextParallel of which twice the number divides {phase.SequenceLength}, or 1.");
        built(precision != Precision.Fp8 || tokens % StageChecks.Fp8Tile == 0, field,
            $"FP8 multiplies tiles of {StageChecks.Fp8Tile} tokens, and a rank's {tokens} of a sequence do not divide into them.",
            $"Write a contextParallel that divides {phase.SequenceLength / StageChecks.Fp8Tile}, or 1.");
    }

    private static void MiniBatch(
        StageRecipe.ReinforcementLearning rl, int dealt, string at, Action<bool, string, string, string> built)
    {
        int rows = rl.Questions * rl.GroupSize;
        int size = rl.MiniBatch > 0 ? rl.MiniBatch : rows;
        built(size >= dealt, $"{at}.miniBatch",
            $"A mini-batch has fewer outputs than the {dealt} ranks that share it.",
            $"Write one of at least {dealt} that divides {rows} (questions × groupSize).");
    }

    /// <summary>The first size of a batch whose micro-batches the schedule cannot run.</summary>
    private static void MicroBatches(
        ParallelLayout layout, IEnumerable<int> sizes, int dealt, BatchRamp? ramp, string field, Action<bool, string, string, string> built)
    {
        foreach (int rows in sizes.Select(size => size / dealt).Where(rows => rows > 0 && layout.Pipeline > 1))
        {
            int count = PipelineSchedules.MicroBatches(rows, layout.RowsAtOnce(rows, ramp));
            if (PipelineSchedules.CountProblem(layout.Schedule, layout.Pipeline, count) is { } problem)
            {
                built(
                    false, field, $"{problem.Message} They are the {rows * dealt} sequences of a step over "
                        + $"{dealt} {(dealt == 1 ? "pipeline" : "pipelines")}.", problem.Fix);
                return;
            }
        }
    }
}
