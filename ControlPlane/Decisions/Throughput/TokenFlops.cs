using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Throughput;

/// <summary>
/// Floating-point operations of one token's forward pass, by part; a multiplication and an addition are two. Parts are of the whole
/// main model; the backward pass is twice the forward.
/// </summary>
/// <param name="Projections">MLA's matrices.</param>
/// <param name="Core">Scores and their product with the values, as a causal mask leaves them: half of the full square.</param>
/// <param name="Elementwise">The product inside SwiGLU: no matrix product, counted by the slides.</param>
/// <param name="Embedding">Counted by the slides as 2·hidden; it is a look-up.</param>
/// <param name="Mtp">All multi-token prediction modules with their head and gate.</param>
/// <param name="MtpCore">The attention core within <paramref name="Mtp"/>.</param>
public sealed record TokenFlops(
    double Projections, double Core, double Experts, double DenseMlp, double Elementwise, double Gate, double Embedding, double Head,
    double Mtp, double MtpCore)
{
    /// <param name="sequenceLength">A token sees half of it on average.</param>
    public static TokenFlops Of(ModelShape m, int sequenceLength)
    {
        double h = m.HiddenSize;
        double queries = (double)m.Heads * m.QkHeadDim;
        double query = m.QLoraRank == 0 ? 2 * h * queries : (2 * h * m.QLoraRank) + (2 * m.QLoraRank * queries);
        double projections = query + (2 * h * (m.KvLoraRank + m.QkRopeHeadDim))
            + (2.0 * m.KvLoraRank * m.Heads * (m.QkNopeHeadDim + m.VHeadDim)) + (2.0 * m.Heads * m.VHeadDim * h);
        double core = (double)sequenceLength * m.Heads * (m.QkHeadDim + m.VHeadDim);
        double experts = (m.ActiveExperts + m.SharedExperts) * 6 * h * m.MoeIntermediateSize;
        double gate = 2 * h * m.RoutedExperts;
        double head = 2 * h * m.VocabSize;
        return new TokenFlops(
            m.Layers * projections, m.Layers * core, m.MoeLayers * experts, m.DenseLayers * 6 * h * m.IntermediateSize,
            ((double)m.MoeLayers * (m.ActiveExperts + m.SharedExperts) * m.MoeIntermediateSize)
                + ((double)m.DenseLayers * m.IntermediateSize),
            m.MoeLayers * gate, 2 * h, head,
            m.MtpDepth * (projections + core + experts + gate + (4 * h * h) + head), m.MtpDepth * core);
    }

    /// <summary>The slides' sum: SwiGLU's product and the embedding counted, gate and MTP not. 83.27 GF for V3 at 4096.</summary>
    public double SlidesForward => Projections + Core + Experts + DenseMlp + Elementwise + Embedding + Head;

    /// <summary>Matrix products of the main model, gate included.</summary>
    public double MainForward => Projections + Core + Experts + DenseMlp + Gate + Head;

    /// <summary>Matrix products that run in FP8 (report section 3.3): all but attention core, gate and head.</summary>
    public double Fp8Forward => Projections + Experts + DenseMlp;

    /// <summary>Training by the slides' sum: forward and backward. DeepSeek states 250 GFLOP for V3.</summary>
    public double SlidesTraining => 3 * SlidesForward;

    /// <summary>What training really multiplies for a token: main model with gate, and MTP, causal; nothing recomputed.</summary>
    public double Training => 3 * (MainForward + Mtp);

    /// <summary>What a mask does not save: the other half of each attention square, forward and backward.</summary>
    public double NonCausalExtra => 3 * Core;
}
