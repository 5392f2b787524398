using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Throughput;
using DeepSeekOps.Recipes.Pipelining;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>
/// Layouts of a stage for fewer nodes than it asks for. Pipelines stay as long as they are; what becomes fewer are the ranks that take
/// a batch's rows, so that each takes more micro-batches of the same batch.
/// </summary>
public static class ShrunkLayouts
{
    /// <summary>Of each way that it has, the largest that fits so many nodes; the fastest first. Empty: it cannot shrink so far.</summary>
    public static ImmutableArray<ShrunkLayout> Of(PipelineSpec pipeline, StageSpec stage, int nodes)
    {
        var resources = pipeline.ResourcesOf(stage);
        int most = Math.Min(nodes, resources.Nodes - 1);
        ShrunkLayout?[] ways =
        [
            Largest(most, n => Even(pipeline, stage, n, pipeline.ParallelismOf(stage).Expert)),
            Largest(most, n => Even(pipeline, stage, n, FewerExpertRanks(pipeline, stage, n))),
            Largest(most, n => Uneven(pipeline, stage, n)),
        ];
        return [.. ways.OfType<ShrunkLayout>().OrderByDescending(w => w.Rate).ThenBy(w => w.Way)];
    }

    /// <summary>Why no layout of the stage has fewer nodes at all, in words. Empty: some has.</summary>
    public static string WhyNone(PipelineSpec pipeline, StageSpec stage)
    {
        var (layout, nodes) = (pipeline.ParallelismOf(stage), pipeline.ResourcesOf(stage).Nodes);
        if (nodes > 1 && !Of(pipeline, stage, nodes - 1).IsEmpty)
        {
            return "";
        }

        int replicas = ReplicasOf(layout, pipeline.ResourcesOf(stage).Ranks);
        string has = replicas <= 1
            ? $"there is one replica of each part of the model (dp=1 of {InWords(layout)}), so every node is needed"
            : $"none of its {replicas} replicas ({InWords(layout)}) can be dropped so that every step's batch still deals evenly, and fits";
        return nodes == 1 ? "it is on one node" : has;
    }

    private static string InWords(ParallelLayout layout) => $"pp={layout.Pipeline}, ep={layout.Expert}";

    private static ShrunkLayout? Largest(int most, Func<int, ShrunkLayout?> of) =>
        Enumerable.Range(1, Math.Max(0, most)).Reverse().Select(of).FirstOrDefault(layout => layout is not null);

    private static int ReplicasOf(ParallelLayout layout, int ranks) => ranks / (layout.Pipeline * layout.Tensor * layout.Expert);

    /// <summary>The most ranks below the written number that may share the experts, so that the ranks are dealt evenly.</summary>
    private static int FewerExpertRanks(PipelineSpec pipeline, StageSpec stage, int nodes)
    {
        var layout = pipeline.ParallelismOf(stage);
        int columns = nodes * pipeline.ResourcesOf(stage).RanksPerNode / (layout.Pipeline * layout.Tensor);
        return Enumerable.Range(1, layout.Expert - 1).Reverse()
            .FirstOrDefault(e => layout.Expert % e == 0 && columns % e == 0);
    }

    /// <summary>Null: no such layout, or the worker could not run it.</summary>
    private static ShrunkLayout? Even(PipelineSpec pipeline, StageSpec stage, int nodes, int expert)
    {
        var (resources, layout) = (pipeline.ResourcesOf(stage), pipeline.ParallelismOf(stage));
        int ranks = nodes * resources.RanksPerNode, cut = layout.Pipeline * layout.Tensor;
        if (expert == 0 || !(layout with { Expert = expert }).Fits(ranks) || ranks % cut != 0
            || !BatchDeals.AsWell(stage.Recipe, layout, resources.Ranks / cut, layout with { Expert = expert }, ranks / cut))
        {
            return null;
        }

        var made = new ShrunkLayout(nodes, resources.Nodes, expert == layout.Expert ? ShrinkWay.FewerReplicas : ShrinkWay.ExpertsDealtAnew,
            expert, ranks / (cut * expert), ReplicasOf(layout, resources.Ranks), (double)nodes / resources.Nodes, ByPlan: false);
        var whole = StageForecasts.Of(pipeline, stage);
        var shrunkPipeline = made.Apply(pipeline, stage.Name);
        var fewer = StageForecasts.Of(shrunkPipeline, shrunkPipeline.Stage(stage.Name));
        return (whole.Duration, fewer.Duration) is not ({ } all, { } longer) ? made
            : fewer.Memory is { } memory && memory.Total > Math.Max(memory.Capacity, whole.Memory?.Total ?? 0) ? null
            : made with { Rate = Math.Min(1, all / longer), ByPlan = true };
    }

    /// <summary>
    /// The rows of a batch are dealt anew over all ranks of a pipeline step, so the step with the fewest nodes sets the pace. It takes a
    /// second replica of each expert, and whole nodes in each pipeline step.
    /// </summary>
    private static ShrunkLayout? Uneven(PipelineSpec pipeline, StageSpec stage, int nodes)
    {
        var (resources, layout) = (pipeline.ResourcesOf(stage), pipeline.ParallelismOf(stage));
        int replicas = ReplicasOf(layout, resources.Ranks);
        int ofStep = resources.Nodes / layout.Pipeline, left = nodes / layout.Pipeline;
        if (layout.Expert == 1 || layout.Tensor != 1 || replicas < 2 || resources.Nodes % layout.Pipeline != 0
            || left * replicas < ofStep * (replicas - 1))
        {
            return null;
        }

        double longer = (double)ofStep / left;
        var made = new ShrunkLayout(nodes, resources.Nodes, ShrinkWay.ExpertsDealtUnevenly, layout.Expert, replicas, replicas, 1 / longer,
            ByPlan: false);
        var whole = StageForecasts.Of(pipeline, stage);
        if (whole.Duration is not { TotalSeconds: var seconds } || !Gpu.All.TryGetValue(resources.Gpu, out var gpu))
        {
            return made;
        }

        // The busiest rank has the experts of so few ranks more.
        int columns = left * resources.RanksPerNode, of = ofStep * resources.RanksPerNode;
        var segments = stage.Recipe.Segments(layout, resources.Ranks);
        var fuller = layout with { Expert = Math.Max(1, layout.Expert * columns / of) };
        var memory = MemoryForecast.Of(pipeline.ShapeAfter(stage), pipeline, fuller,
            columns * layout.Pipeline, segments.Max(s => s.ChunkTokens), gpu);
        double busy = segments.Zip(whole.SegmentSteps, (s, step) => step.BusySeconds * s.Tokens / s.StepTokens).Sum();
        return memory.Total > Math.Max(memory.Capacity, whole.Memory?.Total ?? 0) ? null
            : made with { Rate = seconds / (seconds + ((longer - 1) * busy)), ByPlan = true };
    }
}
