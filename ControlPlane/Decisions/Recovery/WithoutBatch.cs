using System.Collections.Immutable;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>
/// The first break leaves its batch out and goes on from the checkpoint before it: the same batches at another state of the weights seldom
/// break again (PaLM, arXiv 2204.02311 section 5.1).
/// </summary>
public static class WithoutBatch
{
    internal static Rung Rung { get; } = new("without the batch", Try, _ => "no number broke");

    internal static Remedy? Try(FailedAttempt failed) =>
        failed.Failure.Broke is { } broke ? new Remedy.WithoutBatch(broke, BackOff.Of(failed)) : null;

    /// <summary>The batches that no launch to come trains, with this one.</summary>
    public static ImmutableArray<LeftOutBatch> Add(ImmutableArray<LeftOutBatch> leftOut, NotFinite broke, int attempt) =>
        leftOut.Any(b => b.Batch == broke.Batch) ? leftOut
            : leftOut.Add(new LeftOutBatch(broke.Batch, broke.Step, attempt, broke.Sentence));

    /// <summary>"batch 57 (corpus.txt, lines 3 to 9) is left out".</summary>
    public static string InWords(NotFinite broke) => $"batch {broke.Batch}{(broke.Data.Length > 0 ? $" ({broke.Data})" : "")} is left out";
}
