using System.Globalization;

namespace DeepSeekOps.Recipes.Weights;

/// <summary>
/// The largest shape that is taken, ten to a hundred times the largest published one (DeepSeek-V3: 61 layers, 256 experts, 129,280 tokens).
/// Whatever is beyond is a slip or made to harm: every tensor of a shape is listed before a file is looked at, so an unbounded count takes
/// all memory. A pipeline's text and a config.json have the same ends.
/// </summary>
public static class ShapeLimits
{
    public const int VocabSize = 10_000_000;
    public const int HiddenSize = 1_000_000;
    public const int Layers = 1000;
    public const int IntermediateSize = 10_000_000;
    public const int Heads = 10_000;
    public const int LoraRank = 1_000_000;
    public const int HeadDim = 10_000;
    public const int RoutedExperts = 100_000;
    public const int SharedExperts = 1000;
    public const int ActiveExperts = 1000;
    public const int Groups = 1000;
    public const int MtpDepth = 8;
    public const int Positions = 100_000_000;
    public const double RoutedScalingFactor = 1000;
    public const double RopeTheta = 1e12;
    public const double RmsNormEps = 1;
    public const double InitStd = 10;
    public const double YarnFactor = 100_000;
    public const double YarnRotations = 100_000;
    public const double YarnScale = 100;

    /// <summary>Experts of all layers together, three tensors each: V3 has 15,872.</summary>
    public const int ExpertsOfAllLayers = 250_000;

    private const double Above0 = double.Epsilon;

    /// <summary>Everything beyond these ends, each with its field of config.json.</summary>
    internal static IEnumerable<string> Beyond(ModelShape shape)
    {
        foreach (var (value, most, field) in new[]
        {
            (shape.VocabSize, VocabSize, "vocab_size"), (shape.HiddenSize, HiddenSize, "hidden_size"),
            (shape.Layers, Layers, "num_hidden_layers"),
            (shape.IntermediateSize, IntermediateSize, "intermediate_size"),
            (shape.MoeIntermediateSize, IntermediateSize, "moe_intermediate_size"),
            (shape.Heads, Heads, "num_attention_heads"), (shape.QLoraRank, LoraRank, "q_lora_rank"),
            (shape.KvLoraRank, LoraRank, "kv_lora_rank"),
            (shape.QkNopeHeadDim, HeadDim, "qk_nope_head_dim"), (shape.QkRopeHeadDim, HeadDim, "qk_rope_head_dim"),
            (shape.VHeadDim, HeadDim, "v_head_dim"),
            (shape.RoutedExperts, RoutedExperts, "n_routed_experts"), (shape.SharedExperts, SharedExperts, "n_shared_experts"),
            (shape.ActiveExperts, ActiveExperts, "num_experts_per_tok"), (shape.Groups, Groups, "n_group"),
            (shape.MtpDepth, MtpDepth, "num_nextn_predict_layers"),
        })
        {
            if (value > most)
            {
                yield return FormattableString.Invariant($"{field} is {value}: at most {most} is taken");
            }
        }

        if (((long)shape.Layers + shape.MtpDepth) * shape.RoutedExperts > ExpertsOfAllLayers)
        {
            yield return string.Create(CultureInfo.InvariantCulture,
                $"n_routed_experts is {shape.RoutedExperts} in each of {shape.Layers} layers: at most {ExpertsOfAllLayers} "
                    + $"experts in all are taken");
        }

        foreach (var (value, least, most, field) in Numbers(shape))
        {
            if (!(value >= least && value <= most))
            {
                yield return string.Create(CultureInfo.InvariantCulture, $"{field} is {value}: it must be "
                    + $"{(least == Above0 ? "above 0" : $"{least} or more")} and at most {most}");
            }
        }
    }

    private static IEnumerable<(double Value, double Least, double Most, string Field)> Numbers(ModelShape shape)
    {
        yield return (shape.MaxPositionEmbeddings, 1, Positions, "max_position_embeddings");
        yield return (shape.RoutedScalingFactor, Above0, RoutedScalingFactor, "routed_scaling_factor");
        yield return (shape.RopeTheta, 1, RopeTheta, "rope_theta");
        yield return (shape.RmsNormEps, Above0, RmsNormEps, "rms_norm_eps");
        yield return (shape.InitStd, 0, InitStd, "initializer_range");
        if (shape.Yarn is { } yarn)
        {
            yield return (yarn.Factor, 1, YarnFactor, "rope_scaling.factor");
            yield return (yarn.OriginalLength, 1, Positions, "rope_scaling.original_max_position_embeddings");
            yield return (yarn.BetaFast, 0, YarnRotations, "rope_scaling.beta_fast");
            yield return (yarn.BetaSlow, 0, YarnRotations, "rope_scaling.beta_slow");
            yield return (yarn.Mscale ?? 0, 0, YarnScale, "rope_scaling.mscale");
            yield return (yarn.MscaleAllDim ?? 0, 0, YarnScale, "rope_scaling.mscale_all_dim");
        }
    }
}
