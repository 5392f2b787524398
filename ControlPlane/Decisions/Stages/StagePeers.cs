namespace DeepSeekOps.Decisions.Stages;

/// <summary>Which ranks of a gang do the same work, by the layout that it has now.</summary>
internal static class StagePeers
{
    /// <returns>
    /// Neighbours of one place in the pipeline, and by how much one of them may have more to do than another: rows of a batch that cannot
    /// be dealt evenly.
    /// </returns>
    public static (int Ranks, double Uneven) Of(Stage stage)
    {
        var shrunk = stage.Shrunk?.Layout;
        var pipeline = shrunk?.Apply(stage.Wish.Pipeline, stage.Id.Stage) ?? stage.Wish.Pipeline;
        if (pipeline.Stages.FirstOrDefault(s => s.Name == stage.Id.Stage) is not { } spec)
        {
            return (1, 1);
        }

        var layout = pipeline.ParallelismOf(spec);
        int ranks = pipeline.ResourcesOf(spec).Ranks;
        int data = Math.Max(1, ranks / Math.Max(1, layout.Pipeline * layout.Tensor));
        double uneven = spec.Recipe.Segments(layout, ranks).Select(s =>
                // Those that share a sequence are one to the rows, and have as much to do as each other.
                Uneven(s.StepTokens / Math.Max(1, s.Attends), Math.Max(1, data / Math.Max(1, s.ContextParallel))))
            .DefaultIfEmpty(1).Max();
        return (Math.Max(1, ranks / Math.Max(1, layout.Pipeline)), uneven);
    }

    private static double Uneven(double rows, int data) => rows >= 1 && double.IsFinite(rows)
        ? Math.Ceiling(Math.Round(rows) / data) / Math.Max(1, Math.Floor(Math.Round(rows) / data)) : 1;
}
