namespace DeepSeekOps.Recipes.Weights;

/// <summary>How the router picks experts, by the names of config.json.</summary>
public enum RoutingMethod
{
    /// <summary>"noaux_tc", V3: sigmoid scores, choice with a correction bias, groups ranked by the sum of their two best.</summary>
    SigmoidWithBias,

    /// <summary>"group_limited_greedy", V2: softmax scores, groups ranked by their best.</summary>
    SoftmaxGroups,

    /// <summary>"greedy", V2-Lite: softmax scores, no groups.</summary>
    Softmax,
}

/// <summary>YaRN (arXiv 2309.00071) on the decoupled key, report section 4.3.</summary>
public sealed record YarnScaling(
    double Factor, int OriginalLength, double BetaFast = 32, double BetaSlow = 1, double? Mscale = null, double? MscaleAllDim = null);

/// <summary>
/// The shape of a DeepSeek-V2 or V3 model: everything that fixes its tensors and its formulas. Named as in the report
/// (arXiv 2412.19437, section 4.2).
/// </summary>
public sealed record ModelShape
{
    public required int VocabSize { get; init; }
    public required int HiddenSize { get; init; }
    public required int Layers { get; init; }
    /// <summary>Number of layers, from the first, that have a dense MLP.</summary>
    public required int DenseLayers { get; init; }
    public required int IntermediateSize { get; init; }
    public required int MoeIntermediateSize { get; init; }
    public required int Heads { get; init; }
    /// <summary>0: queries without low-rank compression.</summary>
    public required int QLoraRank { get; init; }
    public required int KvLoraRank { get; init; }
    public required int QkNopeHeadDim { get; init; }
    public required int QkRopeHeadDim { get; init; }
    public required int VHeadDim { get; init; }
    public required int RoutedExperts { get; init; }
    public required int SharedExperts { get; init; }
    public required int ActiveExperts { get; init; }
    public int Groups { get; init; } = 1;
    public int LimitedGroups { get; init; } = 1;
    public RoutingMethod Routing { get; init; } = RoutingMethod.SigmoidWithBias;
    public bool NormTopkProb { get; init; } = true;
    public double RoutedScalingFactor { get; init; } = 1;
    public int MtpDepth { get; init; }

    /// <summary>
    /// For speeds only: each token's experts follow from its place, so that all get as many. Published speeds of such models are measured
    /// so.
    /// </summary>
    public bool EvenRouting { get; init; }
    public double RopeTheta { get; init; } = 10000;
    /// <summary>Pairs of neighbours rotate, as in the published weights; false: halves rotate.</summary>
    public bool RopeInterleave { get; init; } = true;
    public double RmsNormEps { get; init; } = 1e-6;
    public double InitStd { get; init; } = 0.006;
    public int MaxPositionEmbeddings { get; init; } = 4096;
    public YarnScaling? Yarn { get; init; }
    /// <summary>The products that make latents, and the output's, add a bias (attention_bias); no published model has it.</summary>
    public bool AttentionBias { get; init; }
    /// <summary>The head is the embedding: one tensor, stored once.</summary>
    public bool TiedEmbeddings { get; init; }

    /// <summary>Places that have a rotation: YaRN may reach beyond what config.json calls the context.</summary>
    public int ContextLength => Math.Max(MaxPositionEmbeddings, Yarn is null ? 0 : (int)(Yarn.Factor * Yarn.OriginalLength));

    public int QkHeadDim => QkNopeHeadDim + QkRopeHeadDim;

    public bool IsMoe(int layer) => layer >= DenseLayers;

    /// <summary>Layers and MTP blocks with routed experts.</summary>
    public int RoutedLayers => Enumerable.Range(0, Layers + MtpDepth).Count(IsMoe);

    /// <summary>Everything wrong with this shape, each with its field; empty: it can be built.</summary>
    public IReadOnlyList<string> Problems()
    {
        var problems = ShapeLimits.Beyond(this).ToList();
        foreach (var (value, field) in new[]
        {
            (VocabSize, "vocab_size"), (HiddenSize, "hidden_size"), (Layers, "num_hidden_layers"), (Heads, "num_attention_heads"),
            (KvLoraRank, "kv_lora_rank"), (QkNopeHeadDim, "qk_nope_head_dim"), (QkRopeHeadDim, "qk_rope_head_dim"),
            (VHeadDim, "v_head_dim"),
        })
        {
            Require(value > 0, $"{field} is {value}: it must be at least 1");
        }

        Require(QLoraRank >= 0, $"q_lora_rank is {QLoraRank}: it must be 0 (none) or more");
        Require(QkRopeHeadDim % 2 == 0, $"qk_rope_head_dim is {QkRopeHeadDim}: RoPE rotates pairs, so it must be even");
        Require(DenseLayers >= 0 && DenseLayers <= Layers, $"first_k_dense_replace is {DenseLayers}: it must lie in 0..{Layers}");
        Require(MtpDepth >= 0, $"num_nextn_predict_layers is {MtpDepth}: it must be 0 or more");
        if (DenseLayers > 0)
        {
            Require(IntermediateSize > 0, $"intermediate_size is {IntermediateSize}: it must be at least 1");
        }

        if (DenseLayers < Layers || MtpDepth > 0)
        {
            Require(MoeIntermediateSize > 0, $"moe_intermediate_size is {MoeIntermediateSize}: it must be at least 1");
            Require(SharedExperts >= 0, $"n_shared_experts is {SharedExperts}: it must be 0 or more");
            Require(Groups > 0, $"n_group is {Groups}: it must be at least 1");
            Require(Groups <= 0
                || (RoutedExperts > 0
                    && RoutedExperts % Groups == 0), $"n_routed_experts is {RoutedExperts}: it must be a multiple of n_group {Groups}");
            Require(LimitedGroups > 0 && LimitedGroups <= Groups, $"topk_group is {LimitedGroups}: it must lie in 1..{Groups}");
            Require(ActiveExperts > 0, $"num_experts_per_tok is {ActiveExperts}: it must be at least 1");
            Require(
                ActiveExperts <= 0 || Groups <= 0 || (long)ActiveExperts * Groups <= (long)RoutedExperts * LimitedGroups,
                $"num_experts_per_tok is {ActiveExperts}: the {LimitedGroups} chosen groups hold fewer experts");
        }

        return problems;

        void Require(bool holds, string problem)
        {
            if (!holds)
            {
                problems.Add(problem);
            }
        }
    }
}
