using DeepSeekOps.Worker.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>A step's instances: this rank's own, packed, and what the ranks of all rows have together.</summary>
/// <param name="Learned">Tokens that the whole batch learns; <paramref name="Tokens"/> with those that are only read.</param>
internal sealed record AnswerBatch(InstanceBatch Own, StageContext Context, long Learned, long Tokens, long Rows)
{
    /// <summary>What a mean over the own learned tokens counts in one over the whole batch.</summary>
    public double Share => (double)Own.LearnedTokens / Learned;

    /// <param name="own">Of the step's instances those that are this rank's share.</param>
    public static AnswerBatch Pack(IReadOnlyList<Instance> own, int length, StageContext context)
    {
        var batch = PackedInstances.Pack(own, length, context.Tokenizer.Special.Pad);
        using var counts = tensor([batch.LearnedTokens, batch.Segments.Count(s => s > 0), batch.Rows], ScalarType.Int64, context.Device);
        context.Mesh.Data.AllReduce([counts]);
        return counts.cpu().data<long>().ToArray() is [var learned, var tokens, var rows]
            ? new AnswerBatch(batch, context, learned, tokens, rows)
            : throw new InvalidOperationException("three counts");
    }

    /// <summary>Means over the whole batch, of means over the own learned tokens.</summary>
    public IReadOnlyList<Tensor> Means(params Tensor[] own)
    {
        using var untracked = no_grad();
        var means = Array.ConvertAll(own, mean => mean.detach() * Share);
        Context.Mesh.Data.AllReduce(means);
        return means;
    }

    /// <summary>A batch without any token to learn: it changes nothing, not even by momentum or decay.</summary>
    public StepResult Nothing(string phase, double rate) =>
        new(phase, zeros([]), zeros([]), rate, Tokens, new Dictionary<string, double> { ["answer_tokens"] = 0, ["rows"] = Rows })
        {
            Learned = false,
        };
}
