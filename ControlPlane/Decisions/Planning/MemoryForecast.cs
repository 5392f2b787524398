using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Throughput;
using DeepSeekOps.Recipes.Pipelining;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>Memory of one GPU by part, in bytes. An estimate: layers are taken as spread evenly over the pipeline.</summary>
/// <param name="WeightsPerCopy">Weights as they are multiplied; 1.708 GB in FP8 for V3 on PP16 and EP64.</param>
/// <param name="Copies">DualPipe holds two stages of the pipeline.</param>
/// <param name="Activations">Of the chunks that are under way, norms and up-projections recomputed.</param>
/// <param name="Buffers">Communication and workspace.</param>
public sealed record MemoryForecast(
    double WeightsPerCopy, int Copies, double Gradients, double Optimizer, double Activations, double Buffers, double Capacity)
{
    private const double BufferBytes = 4e9;

    public double Weights => WeightsPerCopy * Copies;

    public double Total => Weights + Gradients + Optimizer + Activations + Buffers;

    public static MemoryForecast Of(ModelShape model, PipelineSpec spec, ParallelLayout layout, int ranks, double chunkTokens, Gpu gpu)
    {
        var count = ParameterCount.Of(model);
        double shard = (double)layout.Pipeline * layout.Tensor;
        double routed = (double)count.RoutedExperts / layout.Expert / layout.Pipeline;
        double shared = (count.NonRoutedLayers + (2.0 * count.Embedding) + model.HiddenSize) / shard;
        int dense = Math.Max(1, (int)(ranks / shard));
        int experts = Math.Max(1, ranks / layout.Pipeline / layout.Expert);
        bool dual = layout.Schedule == PipelineSchedule.DualPipe;
        int copies = dual ? 2 : 1;
        double weightBytes = WeightBytes(spec.Precision);
        double optimizer = 4 + (spec.Optimizer.Bf16Moments ? 4 : 8);
        double Sharded(int fromStage, double bytes) =>
            layout.Zero >= fromStage ? bytes * ((routed / experts) + (shared / dense)) : bytes * (routed + shared);
        // Of a rank's layers; DualPipeV's pieces are half of them (report table 2 and deepseek-ai/DualPipe).
        double chunks = layout.Pipeline + (dual ? 1 : layout.Schedule == PipelineSchedule.DualPipeV ? 0.5 : 0);
        return new MemoryForecast(
            Sharded(3, weightBytes), copies, copies * Sharded(2, 4), copies * Sharded(1, optimizer),
            chunks * chunkTokens * BytesPerTokenAndLayer(model, weightBytes) * model.Layers / shard, BufferBytes, gpu.MemoryBytes);
    }

    public static double WeightBytes(Precision precision) => precision switch
    {
        Precision.Fp8 => 1,
        Precision.Bf16 => 2,
        Precision.Fp32 => 4,
        _ => throw new System.Diagnostics.UnreachableException($"precision {precision}"),
    };

    /// <summary>What the backward pass needs of a token in one layer: cached inputs of each product, and the residual in BF16.</summary>
    private static double BytesPerTokenAndLayer(ModelShape m, double cachedBytes)
    {
        double latents = 2.0 * (m.QLoraRank + m.KvLoraRank + m.QkRopeHeadDim);
        // Inputs of the product after attention have 12 bits in FP8 training (report section 3.3.3).
        double attention = (double)m.Heads * m.VHeadDim * (cachedBytes < 2 ? 1.5 : cachedBytes);
        double experts = (m.ActiveExperts + m.SharedExperts) * (m.HiddenSize + (2.0 * m.MoeIntermediateSize)) * cachedBytes;
        return (m.HiddenSize * cachedBytes) + latents + attention + experts + (2 * 2.0 * m.HiddenSize);
    }
}
