using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.Recipes;

public enum TopkMethod
{
    /// <summary>Sigmoid scores, chosen with a correction bias, by groups (V3).</summary>
    NoauxTc = 0,
    /// <summary>Softmax scores, chosen by groups (V2).</summary>
    GroupLimitedGreedy = 1,
    /// <summary>Softmax scores, no groups (V2-Lite).</summary>
    Greedy = 2,
}

/// <summary>
/// Hyper-parameters of a DeepSeek-V2/V3 model. The presets are those of DeepSeek-V3/inference/configs and of section 4.2 of the
/// report (arXiv 2412.19437); mini and mini-student have every part of V3 in a size that two CPU cores train.
/// </summary>
public sealed record ModelShape
{
    public int VocabSize { get; init; } = 129280;

    public int HiddenSize { get; init; } = 7168;

    public int Layers { get; init; } = 61;

    /// <summary>Number of layers, from the first, that have a dense MLP.</summary>
    public int DenseLayers { get; init; } = 3;

    public int IntermediateSize { get; init; } = 18432;

    public int MoeIntermediateSize { get; init; } = 2048;

    public int Heads { get; init; } = 128;

    /// <summary>0: queries without low-rank compression.</summary>
    public int QLoraRank { get; init; } = 1536;

    public int KvLoraRank { get; init; } = 512;

    public int QkNopeHeadDim { get; init; } = 128;

    public int QkRopeHeadDim { get; init; } = 64;

    public int VHeadDim { get; init; } = 128;

    public int RoutedExperts { get; init; } = 256;

    public int SharedExperts { get; init; } = 1;

    /// <summary>Routed experts per token.</summary>
    public int ActiveExperts { get; init; } = 8;

    public int Groups { get; init; } = 8;

    /// <summary>Groups that a token may go to.</summary>
    public int LimitedGroups { get; init; } = 4;

    public TopkMethod TopkMethod { get; init; } = TopkMethod.NoauxTc;

    public bool NormTopkProb { get; init; } = true;

    public double RoutedScalingFactor { get; init; } = 2.5;

    /// <summary>Depth D of multi-token prediction.</summary>
    public int MtpDepth { get; init; } = 1;

    public double RopeTheta { get; init; } = 10000;

    public double RmsNormEps { get; init; } = 1e-6;

    public double InitStd { get; init; } = 0.006;

    public int MaxPositionEmbeddings { get; init; } = 4096;

    /// <summary>Stretching of positions that the weights are used to before any stage. Null: none.</summary>
    public Yarn? Yarn { get; init; }

    /// <summary>Pairs of neighbours rotate, as in the published weights; false: halves do.</summary>
    public bool RopeInterleave { get; init; } = true;

    /// <summary>Compressions and output of the attention add a bias; no published model has it.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>The head is the embedding: one tensor.</summary>
    public bool TiedEmbeddings { get; init; }

    /// <summary>The longest sequence that such weights know: YaRN may reach beyond what config.json calls the context.</summary>
    [JsonIgnore]
    public int ContextLength =>
    Math.Max(MaxPositionEmbeddings, Yarn is null ? 0 : (int)Math.Min(int.MaxValue, Yarn.Factor * Yarn.OriginalLength));

    [JsonIgnore]
    public int QkHeadDim => QkNopeHeadDim + QkRopeHeadDim;

    [JsonIgnore]
    public int MoeLayers => Layers - DenseLayers;

    public static ModelShape V3 { get; } = new();

    public static ModelShape V2 { get; } = new()
    {
        VocabSize = 102400, HiddenSize = 5120, Layers = 60, DenseLayers = 1, IntermediateSize = 12288, MoeIntermediateSize = 1536,
        RoutedExperts = 160, SharedExperts = 2, ActiveExperts = 6, LimitedGroups = 3, TopkMethod = TopkMethod.GroupLimitedGreedy,
        NormTopkProb = false, RoutedScalingFactor = 16.0, MtpDepth = 0,
    };

    public static ModelShape V2Lite { get; } = V2 with
    {
        HiddenSize = 2048,
        Layers = 27,
        IntermediateSize = 10944,
        MoeIntermediateSize = 1408,
        Heads = 16,
        QLoraRank = 0,
        RoutedExperts = 64,
        Groups = 1,
        LimitedGroups = 1,
        TopkMethod = TopkMethod.Greedy,
        RoutedScalingFactor = 1.0,
    };

    public static ModelShape Mini { get; } = new()
    {
        VocabSize = 272, HiddenSize = 128, Layers = 4, DenseLayers = 1, IntermediateSize = 384, MoeIntermediateSize = 96, Heads = 4,
        QLoraRank = 64, KvLoraRank = 32, QkNopeHeadDim = 16, QkRopeHeadDim = 16, VHeadDim = 32, RoutedExperts = 16, ActiveExperts = 4,
        Groups = 4, LimitedGroups = 2, InitStd = 0.02, MaxPositionEmbeddings = 128,
    };

    public static ModelShape MiniStudent { get; } = Mini with { Layers = 2, RoutedExperts = 8 };

    public static ImmutableSortedDictionary<string, ModelShape> Presets { get; } = new Dictionary<string, ModelShape>
    {
        ["v3"] = V3,
        ["v2"] = V2,
        ["v2-lite"] = V2Lite,
        ["mini"] = Mini,
        ["mini-student"] = MiniStudent,
    }.ToImmutableSortedDictionary(StringComparer.Ordinal);
}
