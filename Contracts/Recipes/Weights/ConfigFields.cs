using System.Globalization;
using System.Text.Json;

namespace DeepSeekOps.Recipes.Weights;

/// <summary>
/// The fields of a config.json. Defaults are those of transformers 5.17's DeepseekV3Config and DeepseekV2Config; MTP modules, which
/// transformers leaves out, are there only if they are spoken of.
/// </summary>
internal sealed class ConfigFields
{
    private readonly JsonElement _config;
    private readonly bool _v3;
    private readonly JsonElement? _rope;

    public ConfigFields(JsonElement config)
    {
        _config = config;
        var type = JsonText.Some(config, "model_type") is null ? "deepseek_v3" : JsonText.Word(config, "model_type");
        JsonText.Require(
            type != "deepseek_v32",
            "model_type is 'deepseek_v32', whose attention looks at chosen tokens only (its indexer): that is not done here");
        _v3 = type == "deepseek_v3";
        JsonText.Require(_v3 || type == "deepseek_v2", $"model_type is '{JsonText.Short(type)}'; deepseek_v2 and deepseek_v3 are read");
        _rope = RopePart();
    }

    public ModelShape Shape()
    {
        var shape = new ModelShape
        {
            VocabSize = Whole("vocab_size", 129280, 32000), HiddenSize = Whole("hidden_size", 7168, 4096),
            Layers = Whole("num_hidden_layers", 61, 32), DenseLayers = Whole("first_k_dense_replace", 3, 0),
            IntermediateSize = Whole("intermediate_size", 18432, 11008),
            MoeIntermediateSize = Whole("moe_intermediate_size", 2048, 1407), Heads = Whole("num_attention_heads", 128, 32),
            QLoraRank = Whole("q_lora_rank", 1536, 1536, none: 0), KvLoraRank = Whole("kv_lora_rank", 512, 512),
            QkNopeHeadDim = Whole("qk_nope_head_dim", 128, 128), QkRopeHeadDim = Whole("qk_rope_head_dim", 64, 64),
            VHeadDim = Whole("v_head_dim", 128, 128),
            RoutedExperts = Whole("n_routed_experts", 256, 64), SharedExperts = Whole("n_shared_experts", 1, 2, none: 0),
            ActiveExperts = Whole("num_experts_per_tok", 8, null), Groups = Whole("n_group", 8, 1, none: 1),
            LimitedGroups = Whole("topk_group", 4, 1, none: 1),
            Routing = Routing(), NormTopkProb = JsonText.Flag(_config, "norm_topk_prob", absent: _v3),
            RoutedScalingFactor = Number(_config, "routed_scaling_factor") ?? (_v3 ? 2.5 : 1),
            MtpDepth = Whole("num_nextn_predict_layers", 0, 0, none: 0),
            RmsNormEps = Number(_config, "rms_norm_eps") ?? 1e-6, InitStd = Number(_config, "initializer_range") ?? 0.02,
            MaxPositionEmbeddings = Whole("max_position_embeddings", 4096, 2048),
            RopeInterleave = JsonText.Flag(_config, "rope_interleave", absent: true),
            RopeTheta = (_rope is { } rope ? Number(rope, "rope_theta") : null) ?? Number(_config, "rope_theta") ?? 10000,
            AttentionBias = JsonText.Flag(_config, "attention_bias", absent: false),
            TiedEmbeddings = JsonText.Flag(_config, "tie_word_embeddings", absent: false),
            Yarn = Yarn(),
        };
        Refuse(shape);
        KnownFields.Require(_config, _rope);
        return shape;
    }

    private JsonElement? RopePart()
    {
        var (older, newer) = (JsonText.Some(_config, "rope_scaling"), JsonText.Some(_config, "rope_parameters"));
        foreach (var part in new[] { older, newer })
        {
            JsonText.Require(part is not { ValueKind: not JsonValueKind.Object }, "rope_scaling or rope_parameters is not an object");
        }

        JsonText.Require(older is not { } one || newer is not { } other || JsonElement.DeepEquals(one, other),
            "rope_scaling and rope_parameters are both there and differ: leave out one");
        return newer ?? older;
    }

    private RoutingMethod Routing()
    {
        Only(_config, "scoring_func", _v3 ? "\"sigmoid\"" : "\"softmax\"");
        if (_v3)
        {
            Only(_config, "topk_method", "\"noaux_tc\"");
            return RoutingMethod.SigmoidWithBias;
        }

        Only(_config, "topk_method", "\"greedy\"", "\"group_limited_greedy\"");
        return JsonText.Some(_config, "topk_method") is { } method && method.ValueEquals("group_limited_greedy"u8)
            ? RoutingMethod.SoftmaxGroups : RoutingMethod.Softmax;
    }

    /// <summary>Options that would change the numbers and that no published DeepSeek-V2 or V3 uses: refused rather than ignored.</summary>
    private void Refuse(ModelShape shape)
    {
        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
        Only(_config, "mlp_bias", "false");
        Only(_config, "hidden_act", "\"silu\"", "\"swish\"");
        Only(_config, "moe_layer_freq", "1");
        Only(_config, "num_key_value_heads", Text(shape.Heads));
        Only(_config, "num_local_experts", Text(shape.RoutedExperts));
        Only(_config, "head_dim", Text(shape.QkRopeHeadDim));
        Only(_config, "qk_head_dim", Text(shape.QkHeadDim));
        JsonText.Require(Number(_config, "attention_dropout") is null or 0, "attention_dropout is set, which is not done here: write 0");
        foreach (var field in (string[])["index_topk", "index_n_heads", "index_head_dim"])
        {
            Only(_config, field);
        }
    }

    private YarnScaling? Yarn()
    {
        if (_rope is not { } rope)
        {
            return null;
        }

        JsonText.Require(
            rope.EnumerateObject().All(p => p.Value.ValueKind != JsonValueKind.Object),
            "rope_parameters differ by layer, which is not done here");
        Only(rope, "truncate", "true");
        Only(rope, "attention_factor");
        JsonText.Require(Number(rope, "partial_rotary_factor") is null or 1, "partial_rotary_factor is set, which is not done here");
        var named = JsonText.Some(rope, "rope_type") is not null ? "rope_type" : "type";
        var type = JsonText.Some(rope, named) is null ? "default" : JsonText.Word(rope, named);
        JsonText.Require(type is "default" or "yarn", $"rope_type is '{JsonText.Short(type)}'; default and yarn are read");
        return type == "default" ? null : new YarnScaling(
            Number(rope, "factor") ?? throw new FormatException("YaRN has no factor"),
            Whole(rope, "original_max_position_embeddings") ?? Whole("max_position_embeddings", 4096, 2048),
            // transformers writes "or": a zero is as good as nothing.
            Number(rope, "beta_fast") is { } fast and not 0 ? fast : 32, Number(rope, "beta_slow") is { } slow and not 0 ? slow : 1,
            Number(rope, "mscale"), Number(rope, "mscale_all_dim"));
    }

    private static void Only(JsonElement from, string field, params string[] known)
    {
        if (JsonText.Some(from, field) is { } value && !known.Any(k => Same(value, k)))
        {
            throw new FormatException($"{field} is {JsonText.Short(value.GetRawText())}, which is not done here: "
                + (known.Length == 0 ? "leave it out" : $"{string.Join(" or ", known)} is"));
        }
    }

    private static bool Same(JsonElement value, string known)
    {
        using var other = JsonDocument.Parse(known);
        return JsonElement.DeepEquals(value, other.RootElement);
    }

    /// <param name="none">What null means; where it means nothing, null is a field that is missing.</param>
    private int Whole(string field, int v3, int? v2, int? none = null)
    {
        if (_config.TryGetProperty(field, out var value) && value.ValueKind == JsonValueKind.Null)
        {
            return none ?? throw new FormatException($"{field} is missing: it is null");
        }

        return Whole(_config, field) ?? (_v3 ? v3 : v2) ?? throw new FormatException($"{field} is missing");
    }

    private static int? Whole(JsonElement from, string field) => Number(from, field) switch
    {
        null => null,
        { } number when number == Math.Floor(number) && number is >= 0 and <= int.MaxValue => (int)number,
        { } number => throw new FormatException(string.Create(
            CultureInfo.InvariantCulture, $"{field} is {number}; a whole number from 0 to {int.MaxValue} is wanted")),
    };

    private static double? Number(JsonElement from, string field) => JsonText.Some(from, field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Number } number when number.TryGetDouble(out var value) && double.IsFinite(value) => value,
        { } other => throw new FormatException($"{field} is {JsonText.Short(other.GetRawText())}; a number is wanted"),
    };
}
