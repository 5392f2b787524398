using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Model;

/// <summary>Shapes from the wire, and the published ones by name.</summary>
public static class ModelShapes
{
    /// <summary>DeepSeek-V3/inference/configs/*.json and section 4.2 of the report; mini has every part of V3 in little.</summary>
    public static IReadOnlyDictionary<string, ModelShape> Presets { get; } = new Dictionary<string, ModelShape>
    {
        ["v3"] = V3,
        ["v2"] = V3 with
        {
            VocabSize = 102400,
            HiddenSize = 5120,
            Layers = 60,
            DenseLayers = 1,
            IntermediateSize = 12288,
            MoeIntermediateSize = 1536,
            RoutedExperts = 160,
            SharedExperts = 2,
            ActiveExperts = 6,
            LimitedGroups = 3,
            Routing = RoutingMethod.SoftmaxGroups,
            NormTopkProb = false,
            RoutedScalingFactor = 16,
            MtpDepth = 0,
        },
        ["v2-lite"] = V3 with
        {
            VocabSize = 102400,
            HiddenSize = 2048,
            Layers = 27,
            DenseLayers = 1,
            IntermediateSize = 10944,
            MoeIntermediateSize = 1408,
            Heads = 16,
            QLoraRank = 0,
            RoutedExperts = 64,
            SharedExperts = 2,
            ActiveExperts = 6,
            Groups = 1,
            LimitedGroups = 1,
            Routing = RoutingMethod.Softmax,
            NormTopkProb = false,
            RoutedScalingFactor = 1,
            MtpDepth = 0,
        },
        ["mini"] = Mini,
        ["mini-student"] = Mini with { Layers = 2, RoutedExperts = 8 },
    };

    private static ModelShape V3 => new()
    {
        VocabSize = 129280, HiddenSize = 7168, Layers = 61, DenseLayers = 3, IntermediateSize = 18432, MoeIntermediateSize = 2048,
        Heads = 128, QLoraRank = 1536, KvLoraRank = 512, QkNopeHeadDim = 128, QkRopeHeadDim = 64, VHeadDim = 128,
        RoutedExperts = 256, SharedExperts = 1, ActiveExperts = 8, Groups = 8, LimitedGroups = 4, RoutedScalingFactor = 2.5, MtpDepth = 1,
    };

    private static ModelShape Mini => new()
    {
        VocabSize = 272, HiddenSize = 128, Layers = 4, DenseLayers = 1, IntermediateSize = 384, MoeIntermediateSize = 96,
        Heads = 4, QLoraRank = 64, KvLoraRank = 32, QkNopeHeadDim = 16, QkRopeHeadDim = 16, VHeadDim = 32,
        RoutedExperts = 16, SharedExperts = 1, ActiveExperts = 4, Groups = 4, LimitedGroups = 2, RoutedScalingFactor = 2.5, MtpDepth = 1,
        InitStd = 0.02, MaxPositionEmbeddings = 128,
    };

    public static ModelShape FromProto(ModelConfig config) => new()
    {
        VocabSize = config.VocabSize, HiddenSize = config.HiddenSize, Layers = config.Layers, DenseLayers = config.DenseLayers,
        IntermediateSize = config.IntermediateSize, MoeIntermediateSize = config.MoeIntermediateSize, Heads = config.Heads,
        QLoraRank = config.QLoraRank, KvLoraRank = config.KvLoraRank, QkNopeHeadDim = config.QkNopeHeadDim,
        QkRopeHeadDim = config.QkRopeHeadDim, VHeadDim = config.VHeadDim, RoutedExperts = config.RoutedExperts,
        SharedExperts = config.SharedExperts, ActiveExperts = config.ActiveExperts, Groups = Math.Max(1, config.Groups),
        LimitedGroups = Math.Max(1, config.LimitedGroups), Routing = Routing(config.TopkMethod), NormTopkProb = config.NormTopkProb,
        RoutedScalingFactor = config.RoutedScalingFactor, MtpDepth = config.MtpDepth, RopeTheta = config.RopeTheta,
        RmsNormEps = config.RmsNormEps, InitStd = config.InitStd, MaxPositionEmbeddings = config.MaxPositionEmbeddings,
        Yarn = FromProto(config.Yarn), RopeInterleave = !config.RopeByHalves, AttentionBias = config.AttentionBias,
        TiedEmbeddings = config.TiedEmbeddings,
    };

    /// <summary>Fields left out take the report's values (β 32 and 1, both mscales 1).</summary>
    internal static YarnScaling? FromProto(Yarn? yarn) => yarn is null ? null : new(
        yarn.Factor, yarn.OriginalLength, Or(yarn.BetaFast, 32), Or(yarn.BetaSlow, 1), yarn.HasMscale ? yarn.Mscale : 1,
        yarn.HasMscaleAllDim ? yarn.MscaleAllDim : 1);

    internal static RoutingMethod Routing(string method) => method switch
    {
        "noaux_tc" => RoutingMethod.SigmoidWithBias,
        "group_limited_greedy" => RoutingMethod.SoftmaxGroups,
        "greedy" => RoutingMethod.Softmax,
        _ => throw new ArgumentException($"topk_method is \"{method}\": use noaux_tc, group_limited_greedy or greedy."),
    };

    private static double Or(double value, double ifUnset) => value == 0 ? ifUnset : value;
}
