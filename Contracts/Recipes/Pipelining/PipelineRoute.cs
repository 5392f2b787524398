using System.Collections.Immutable;

namespace DeepSeekOps.Recipes.Pipelining;

/// <summary>What one rank sends to another: what a piece gives, or the gradient of what came into it.</summary>
/// <param name="Piece">Whose output, or whose input's gradient.</param>
public readonly record struct PipelineMessage(bool IsGradient, int Piece, int MicroBatch);

/// <summary>Which ranks of a pipeline hold which pieces of the model, and which way a micro-batch goes.</summary>
public sealed record PipelineRoute(PipelineSchedule Schedule, int Ranks, int MicroBatches)
{
    public int Pieces => PiecesOf(Schedule, Ranks);

    /// <summary>Into how many runs of layers a model is cut.</summary>
    public static int PiecesOf(PipelineSchedule schedule, int ranks) => schedule == PipelineSchedule.DualPipeV ? 2 * ranks : ranks;

    /// <summary>The pieces that a rank holds, the earlier first.</summary>
    public static ImmutableArray<int> PiecesOf(PipelineSchedule schedule, int ranks, int rank) => schedule switch
    {
        PipelineSchedule.DualPipe => [Math.Min(rank, ranks - 1 - rank), Math.Max(rank, ranks - 1 - rank)],
        PipelineSchedule.DualPipeV => [rank, (2 * ranks) - 1 - rank],
        _ => [rank],
    };

    /// <summary>Every piece lies on two ranks, the mirrored ones, and they learn it together.</summary>
    public static bool IsMirrored(PipelineSchedule schedule) => schedule == PipelineSchedule.DualPipe;

    /// <summary>Who takes a micro-batch through a piece.</summary>
    public int RankOf(int piece, int microBatch) => Schedule switch
    {
        PipelineSchedule.DualPipe => microBatch < MicroBatches / 2 ? piece : Ranks - 1 - piece,
        PipelineSchedule.DualPipeV => piece < Ranks ? piece : (2 * Ranks) - 1 - piece,
        _ => piece,
    };

    /// <summary>What a task waits for that another task makes; null: nothing.</summary>
    public PipelineMessage? NeededBy(PipelineTask task) => task.IsForward
        ? task.Piece > 0 ? new PipelineMessage(false, task.Piece - 1, task.MicroBatch) : null
        : task.MakesInputGradient && task.Piece < Pieces - 1 ? new PipelineMessage(true, task.Piece + 1, task.MicroBatch)
        : null;

    /// <summary>What a task makes that another one waits for; null: nothing.</summary>
    public PipelineMessage? MadeBy(PipelineTask task) => task.IsForward
        ? task.Piece < Pieces - 1 ? new PipelineMessage(false, task.Piece, task.MicroBatch) : null
        : task.MakesInputGradient && task.Piece > 0 ? new PipelineMessage(true, task.Piece, task.MicroBatch)
        : null;

    public int SenderOf(PipelineMessage message) => RankOf(message.Piece, message.MicroBatch);

    public int ReceiverOf(PipelineMessage message) => RankOf(message.Piece + (message.IsGradient ? -1 : 1), message.MicroBatch);

    /// <summary>
    /// All that one rank sends to another in a step, in the order in which it does: whoever receives knows what comes next without being
    /// told.
    /// </summary>
    public IEnumerable<PipelineMessage> Sent(int sender, int receiver) =>
        from task in PipelineSchedules.Of(Schedule, Ranks, sender, MicroBatches)
        let made = MadeBy(task)
        where made is not null && ReceiverOf(made.Value) == receiver
        select made.Value;
}
