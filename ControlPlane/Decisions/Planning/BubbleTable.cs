using System.Collections.Concurrent;
using System.Diagnostics;
using DeepSeekOps.Recipes.Pipelining;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>
/// Bubbles of one step by schedule, in seconds: the step is played by each (<see cref="StepSimulation"/>) with the measured parts of a
/// micro-batch, and what ranks wait is widened as measured. It does not depend on the number of micro-batches, where there are enough.
/// </summary>
public sealed record BubbleTable(double OneForwardOneBackward, double ZeroBubble, double DualPipe, double DualPipeV)
{
    /// <summary>A longer pipeline takes seconds to play; there the published formulas (report table 2) stand for it.</summary>
    private const int LongestPlayed = 64;

    // A pure function of the number of ranks, that plans ask again and again.
    private static readonly ConcurrentDictionary<int, BubbleTable> OfMeasuredChunks = [];

    /// <param name="chunkSeconds">Of one micro-batch through all that lies on a rank, forward and backward.</param>
    public static BubbleTable Of(int pipeline, double chunkSeconds)
    {
        var measured = OfMeasuredChunks.GetOrAdd(pipeline, ranks => new BubbleTable(
            Measured(PipelineSchedule.OneForwardOneBackward, ranks), Measured(PipelineSchedule.ZeroBubble, ranks),
            Measured(PipelineSchedule.DualPipe, ranks), Measured(PipelineSchedule.DualPipeV, ranks)));
        double scale = chunkSeconds / (Calibration.StepBusySeconds / Calibration.StepChunks) * Calibration.BubbleOverSimulated;
        return new BubbleTable(
            measured.OneForwardOneBackward * scale, measured.ZeroBubble * scale, measured.DualPipe * scale, measured.DualPipeV * scale);
    }

    public double Of(PipelineSchedule schedule) => schedule switch
    {
        PipelineSchedule.OneForwardOneBackward => OneForwardOneBackward,
        PipelineSchedule.ZeroBubble => ZeroBubble,
        PipelineSchedule.DualPipe => DualPipe,
        PipelineSchedule.DualPipeV => DualPipeV,
        _ => throw new UnreachableException($"schedule {schedule}"),
    };

    /// <summary>With the chunk as it was measured.</summary>
    private static double Measured(PipelineSchedule schedule, int ranks)
    {
        // Twice as many pieces as ranks, each half as long.
        var parts = Calibration.Chunk.Times(schedule == PipelineSchedule.DualPipeV ? 0.5 : 1) with { Send = 0 };
        return ranks > LongestPlayed || PipelineSchedules.LayoutProblem(schedule, ranks, int.MaxValue) is not null
            ? Formula(schedule, ranks, parts)
            : StepSimulation.Of(schedule, ranks, 2 * ranks, parts).LargestBubble;
    }

    private static double Formula(PipelineSchedule schedule, int ranks, ChunkSeconds p) => schedule switch
    {
        PipelineSchedule.OneForwardOneBackward => (ranks - 1) * (p.Forward + p.Backward),
        PipelineSchedule.ZeroBubble => (ranks - 1) * (p.Forward + p.Backward - (2 * p.WeightBackward)),
        PipelineSchedule.DualPipe => Math.Max(0, (ranks / 2) - 1) * (p.Overlapped + p.Backward - (3 * p.WeightBackward)),
        PipelineSchedule.DualPipeV => (ranks - 1) * (p.Overlapped + p.Backward - (3 * p.WeightBackward)),
        _ => throw new UnreachableException($"schedule {schedule}"),
    };
}
