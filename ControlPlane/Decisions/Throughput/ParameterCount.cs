using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Throughput;

/// <summary>Parameters of a model by part, counted as its checkpoint holds them.</summary>
/// <param name="Attention">MLA of one layer, with the norms of its latents.</param>
/// <param name="Expert">One expert.</param>
/// <param name="DenseMlp">The MLP of one dense layer.</param>
/// <param name="Gate">Router of one layer, with its correction bias where it has one.</param>
/// <param name="LayerNorms">The two norms of one layer.</param>
/// <param name="Embedding">As many again are in the output head, unless it is tied.</param>
/// <param name="MtpBlock">One multi-token prediction module without the shared embedding and head.</param>
public sealed record ParameterCount(
    ModelShape Shape, long Attention, long Expert, long DenseMlp, long Gate, long LayerNorms, long Embedding, long MtpBlock)
{
    public static ParameterCount Of(ModelShape m)
    {
        long h = m.HiddenSize;
        long queries = (long)m.Heads * m.QkHeadDim;
        long query = m.QLoraRank == 0 ? h * queries : (h * m.QLoraRank) + m.QLoraRank + (m.QLoraRank * queries);
        long keyValue = (h * (m.KvLoraRank + m.QkRopeHeadDim)) + m.KvLoraRank
            + ((long)m.KvLoraRank * m.Heads * (m.QkNopeHeadDim + m.VHeadDim));
        long bias = m.AttentionBias ? m.QLoraRank + m.KvLoraRank + m.QkRopeHeadDim + h : 0;
        long attention = query + keyValue + ((long)m.Heads * m.VHeadDim * h) + bias;
        long expert = 3 * h * m.MoeIntermediateSize;
        long gate = (h * m.RoutedExperts) + (m.TopkMethod == TopkMethod.NoauxTc ? m.RoutedExperts : 0);
        long moeLayer = attention + (2 * h) + ((m.RoutedExperts + m.SharedExperts) * expert) + gate;
        return new ParameterCount(m, attention, expert, 3 * h * m.IntermediateSize, gate, 2 * h, m.VocabSize * h,
            moeLayer + (2 * h * h) + (3 * h));
    }

    /// <summary>Everything but routed experts, embedding and head, in the layers of the main model.</summary>
    public long NonRoutedLayers =>
        (Shape.Layers * (Attention + LayerNorms)) + (Shape.DenseLayers * DenseMlp)
            + (Shape.MoeLayers * ((Shape.SharedExperts * Expert) + Gate));

    public long RoutedExperts => Shape.MoeLayers * Shape.RoutedExperts * Expert;

    public long EmbeddingAndHead => Shape.TiedEmbeddings ? Embedding : 2 * Embedding;

    /// <summary>The main model, without multi-token prediction: 671,026,419,200 for V3.</summary>
    public long Total => NonRoutedLayers + RoutedExperts + EmbeddingAndHead + Shape.HiddenSize;

    /// <summary>What one token passes, with embedding and head: 37.55 billion for V3.</summary>
    public long Active => NonRoutedLayers + ((long)Shape.MoeLayers * Shape.ActiveExperts * Expert) + EmbeddingAndHead + Shape.HiddenSize;

    public long TotalWithMtp => Total + (Shape.MtpDepth * MtpBlock);
}
