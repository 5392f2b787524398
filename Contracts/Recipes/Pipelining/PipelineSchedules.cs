using System.Collections.Immutable;

namespace DeepSeekOps.Recipes.Pipelining;

/// <summary>What keeps a schedule from running.</summary>
/// <param name="Field">"pipeline", "layers" or "microBatches".</param>
public sealed record ScheduleProblem(string Field, string Message, string Fix);

/// <summary>What the ranks of a pipeline do in one step, as data: planner and worker read it from here.</summary>
public static class PipelineSchedules
{
    /// <summary>As pipelines' text and the command line write them.</summary>
    public static ImmutableArray<(string Name, PipelineSchedule Schedule)> Names { get; } =
    [
        ("1f1b", PipelineSchedule.OneForwardOneBackward), ("zb1p", PipelineSchedule.ZeroBubble), ("dualpipe", PipelineSchedule.DualPipe),
        ("dualpipev", PipelineSchedule.DualPipeV),
    ];

    public static string Name(this PipelineSchedule schedule) => Names.First(n => n.Schedule == schedule).Name;

    /// <summary>Gradients of weights are made apart from those of inputs in some tasks.</summary>
    public static bool SplitsBackward(this PipelineSchedule schedule) => schedule != PipelineSchedule.OneForwardOneBackward;

    /// <summary>A rank has micro-batches enough to be never without work in the middle of a step.</summary>
    public static int FewestMicroBatches(this PipelineSchedule schedule, int ranks) =>
        schedule is PipelineSchedule.DualPipe or PipelineSchedule.DualPipeV ? 2 * ranks : 1;

    /// <summary>Whether the ranks can be laid out so, for a model of so many layers.</summary>
    public static ScheduleProblem? LayoutProblem(PipelineSchedule schedule, int ranks, int layers)
    {
        if (schedule == PipelineSchedule.DualPipe && ranks % 2 != 0)
        {
            return new ScheduleProblem(
                "pipeline", $"dualpipe feeds a pipeline from both ends and cannot have {ranks} {(ranks == 1 ? "rank" : "ranks")}.",
                "Write an even number, or another schedule.");
        }

        int pieces = PipelineRoute.PiecesOf(schedule, ranks);
        return pieces <= layers ? null : new ScheduleProblem(
            "pipeline", schedule == PipelineSchedule.DualPipeV
                ? $"{layers} layers cannot be cut among {ranks} ranks of two pieces each, as dualpipev needs."
                : $"{layers} layers cannot be cut among {ranks} ranks.",
            schedule == PipelineSchedule.DualPipeV && layers > 1 ? $"Write at most {layers / 2}, or another schedule."
                : schedule == PipelineSchedule.DualPipeV ? "Write another schedule." : $"Write at most {layers}.");
    }

    /// <summary>Whether a step of so many micro-batches can be run.</summary>
    public static ScheduleProblem? CountProblem(PipelineSchedule schedule, int ranks, int microBatches)
    {
        int fewest = schedule.FewestMicroBatches(ranks);
        bool even = schedule == PipelineSchedule.DualPipe;
        return microBatches >= fewest && !(even && microBatches % 2 != 0) ? null : new ScheduleProblem(
            "microBatches",
            $"{schedule.Name()} on {ranks} pipeline {(ranks == 1 ? "rank" : "ranks")} needs {(even ? "an even number of " : "")}"
                + $"at least {fewest} micro-batches a step, and there {(microBatches == 1 ? "is" : "are")} {microBatches}.",
            "Take a larger batch, smaller micro-batches, fewer pipeline ranks, or another schedule (1f1b and zb1p run any number).");
    }

    /// <summary>
    /// Sequences of one micro-batch, for a pipeline that takes so many in a step. Without a word about it there are two micro-batches for
    /// each rank, so that 1F1B is full half of the time, or the next larger number that the schedule can run.
    /// </summary>
    /// <param name="asked">0: nothing was said.</param>
    public static int RowsAtOnce(PipelineSchedule schedule, int ranks, int rows, int asked)
    {
        if (asked > 0)
        {
            return Math.Min(asked, rows);
        }

        int most = ranks == 1 && !schedule.SplitsBackward() ? rows : Math.Max(1, rows / (2 * ranks));
        // If none does, CountProblem says what would.
        return Enumerable.Range(1, Math.Max(1, most)).Reverse()
            .FirstOrDefault(at => CountProblem(schedule, ranks, MicroBatches(rows, at)) is null, most);
    }

    /// <summary>Of so many sequences, the last one maybe smaller.</summary>
    public static int MicroBatches(int rows, int atOnce) => (rows + atOnce - 1) / atOnce;

    /// <param name="rank">Of the pipeline, from 0.</param>
    /// <exception cref="InvalidDataException">The schedule cannot run so; the message says what would.</exception>
    public static ImmutableArray<PipelineTask> Of(PipelineSchedule schedule, int ranks, int rank, int microBatches)
    {
        if (ranks < 1 || rank < 0 || rank >= ranks)
        {
            throw new ArgumentOutOfRangeException(nameof(rank), $"rank {rank} of {ranks}");
        }

        if ((LayoutProblem(schedule, ranks, int.MaxValue) ?? CountProblem(schedule, ranks, microBatches)) is { } problem)
        {
            throw new InvalidDataException($"{problem.Message} {problem.Fix}");
        }

        return schedule switch
        {
            PipelineSchedule.OneForwardOneBackward => OneWayOrder.OneForwardOneBackward(ranks, rank, microBatches),
            PipelineSchedule.ZeroBubble => OneWayOrder.ZeroBubble(ranks, rank, microBatches),
            PipelineSchedule.DualPipe => TwoWayOrder.DualPipe(ranks, rank, microBatches),
            PipelineSchedule.DualPipeV => TwoWayOrder.DualPipeV(ranks, rank, microBatches),
            _ => throw new ArgumentOutOfRangeException(nameof(schedule), $"schedule {schedule}"),
        };
    }
}
