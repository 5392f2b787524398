using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using DeepSeekOps.Worker.Checkpoints;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// Hugging Face's config.json of DeepSeek-V2 and V3, as published (rope_theta, rope_scaling) and as newer transformers write it
/// (rope_parameters).
/// </summary>
public static class ConfigJson
{
    public const string FileName = "config.json";

    public static ModelShape Read(string path)
    {
        try
        {
            return Parse(File.ReadAllText(path), path);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or ArgumentException or IOException)
        {
            throw new CheckpointFormatException($"{path}: {e.Message} A config.json of DeepSeek-V2 or V3 is wanted there.");
        }
    }

    internal static ModelShape Parse(string text, string path)
    {
        var config = JsonNode.Parse(text, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject
            ?? throw new CheckpointFormatException($"{path}: the file is not a JSON object.");
        var type = Text("model_type") ?? "deepseek_v3";
        var v3 = type is "deepseek_v3" or "deepseek_v32";
        if (!v3 && type != "deepseek_v2")
        {
            throw new CheckpointFormatException($"{path}: model_type is \"{type}\": only deepseek_v2 and deepseek_v3 are known here.");
        }

        Refuse(config, v3, path);
        var layers = Int("num_hidden_layers");
        var shape = new ModelShape
        {
            VocabSize = Int("vocab_size"), HiddenSize = Int("hidden_size"), Layers = layers, DenseLayers = Int("first_k_dense_replace", 0),
            IntermediateSize = Int("intermediate_size"), MoeIntermediateSize = Int("moe_intermediate_size", 0),
            Heads = Int("num_attention_heads"), QLoraRank = Int("q_lora_rank", 0), KvLoraRank = Int("kv_lora_rank"),
            QkNopeHeadDim = Int("qk_nope_head_dim"), QkRopeHeadDim = Int("qk_rope_head_dim"), VHeadDim = Int("v_head_dim"),
            RoutedExperts = Int("n_routed_experts", 0), SharedExperts = Int("n_shared_experts", 0),
            ActiveExperts = Int("num_experts_per_tok", 0), Groups = Int("n_group", 1), LimitedGroups = Int("topk_group", 1),
            Routing = ModelShapes.Routing(v3 ? "noaux_tc" : Text("topk_method") ?? "greedy"),
            NormTopkProb = config["norm_topk_prob"]?.GetValue<bool>() ?? v3,
            RoutedScalingFactor = Number(config, "routed_scaling_factor") ?? 1, MtpDepth = Int("num_nextn_predict_layers", 0),
            RmsNormEps = Number(config, "rms_norm_eps") ?? 1e-6, InitStd = Number(config, "initializer_range") ?? 0.02,
            MaxPositionEmbeddings = Int("max_position_embeddings", 4096),
            RopeInterleave = config["rope_interleave"]?.GetValue<bool>() ?? true,
            RopeTheta = Number(config["rope_parameters"] as JsonObject, "rope_theta") ?? Number(config, "rope_theta") ?? 10000,
            AttentionBias = config["attention_bias"]?.GetValue<bool>() ?? false,
            TiedEmbeddings = config["tie_word_embeddings"]?.GetValue<bool>() ?? false, Yarn = Scaling(config, path),
        };
        return shape.Problems() is { Count: > 0 } problems
            ? throw new CheckpointFormatException($"{path}: {string.Join("; ", problems)}.")
            : shape;

        string? Text(string field) => config[field]?.GetValue<string>();
        int Int(string field, int? absent = null) => Number(config, field) switch
        {
            null => absent ?? throw new CheckpointFormatException($"{path}: {field} is missing: add it as the published config.json has it."),
            { } number when number == Math.Floor(number) && Math.Abs(number) <= int.MaxValue => (int)number,
            { } number => throw new CheckpointFormatException(string.Create(
                CultureInfo.InvariantCulture, $"{path}: {field} is {number}: a whole number up to {int.MaxValue} is wanted.")),
        };
        double? Number(JsonObject? from, string field) => from?[field] switch
        {
            null => null,
            JsonValue value when value.TryGetValue<double>(out var number) => number,
            var other => throw new CheckpointFormatException($"{path}: {field} is {other.ToJsonString()}: a number is wanted."),
        };
    }

    /// <summary>The file that transformers needs to load our weights.</summary>
    public static byte[] ToBytes(ModelShape shape)
    {
        var v3 = shape.Routing == RoutingMethod.SigmoidWithBias;
        var config = new JsonObject
        {
            ["architectures"] = new JsonArray(v3 ? "DeepseekV3ForCausalLM" : "DeepseekV2ForCausalLM"),
            ["model_type"] = v3 ? "deepseek_v3" : "deepseek_v2",
            ["vocab_size"] = shape.VocabSize, ["hidden_size"] = shape.HiddenSize, ["num_hidden_layers"] = shape.Layers,
            ["first_k_dense_replace"] = shape.DenseLayers, ["intermediate_size"] = shape.IntermediateSize,
            ["moe_intermediate_size"] = shape.MoeIntermediateSize, ["num_attention_heads"] = shape.Heads,
            ["num_key_value_heads"] = shape.Heads, ["q_lora_rank"] = shape.QLoraRank == 0 ? null : shape.QLoraRank,
            ["kv_lora_rank"] = shape.KvLoraRank, ["qk_nope_head_dim"] = shape.QkNopeHeadDim, ["qk_rope_head_dim"] = shape.QkRopeHeadDim,
            ["v_head_dim"] = shape.VHeadDim, ["n_routed_experts"] = shape.RoutedExperts, ["n_shared_experts"] = shape.SharedExperts,
            ["num_experts_per_tok"] = shape.ActiveExperts, ["n_group"] = shape.Groups, ["topk_group"] = shape.LimitedGroups,
            ["topk_method"] = shape.Routing switch
            {
                RoutingMethod.SigmoidWithBias => "noaux_tc",
                RoutingMethod.SoftmaxGroups => "group_limited_greedy",
                _ => "greedy",
            },
            ["scoring_func"] = v3 ? "sigmoid" : "softmax", ["norm_topk_prob"] = shape.NormTopkProb,
            ["routed_scaling_factor"] = shape.RoutedScalingFactor, ["num_nextn_predict_layers"] = shape.MtpDepth,
            ["rms_norm_eps"] = shape.RmsNormEps, ["initializer_range"] = shape.InitStd, ["hidden_act"] = "silu",
            ["max_position_embeddings"] = shape.ContextLength, ["rope_theta"] = shape.RopeTheta,
            ["rope_interleave"] = shape.RopeInterleave, ["attention_bias"] = shape.AttentionBias, ["attention_dropout"] = 0.0,
            ["tie_word_embeddings"] = shape.TiedEmbeddings, ["use_cache"] = true, ["torch_dtype"] = "float32",
        };
        if (shape.Yarn is { } yarn)
        {
            config["rope_scaling"] = new JsonObject
            {
                ["type"] = "yarn", ["rope_type"] = "yarn", ["factor"] = yarn.Factor, ["original_max_position_embeddings"] = yarn.OriginalLength,
                ["beta_fast"] = yarn.BetaFast, ["beta_slow"] = yarn.BetaSlow, ["mscale"] = yarn.Mscale, ["mscale_all_dim"] = yarn.MscaleAllDim,
            };
        }

        return Encoding.UTF8.GetBytes(config.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
    }

    /// <summary>Options that would change the numbers and that no published DeepSeek-V2 or V3 uses: refused rather than ignored.</summary>
    private static void Refuse(JsonObject config, bool v3, string path)
    {
        var heads = config["num_attention_heads"]?.ToJsonString() ?? "";
        Only(config, "mlp_bias", "false");
        Only(config, "hidden_act", "\"silu\"", "\"swish\"");
        Only(config, "moe_layer_freq", "1");
        Only(config, "num_key_value_heads", heads);
        Only(config, "scoring_func", v3 ? "\"sigmoid\"" : "\"softmax\"");
        if (v3)
        {
            Only(config, "topk_method", "\"noaux_tc\"");
        }
        else
        {
            Only(config, "topk_method", "\"greedy\"", "\"group_limited_greedy\"");
        }

        if ((config["rope_parameters"] ?? config["rope_scaling"]) is JsonObject rope)
        {
            Only(rope, "attention_factor");
            Only(rope, "truncate", "true");
        }

        void Only(JsonObject from, string field, params ReadOnlySpan<string> known)
        {
            if (from[field] is { } value && !known.Contains(value.ToJsonString()))
            {
                throw new CheckpointFormatException($"{path}: {field} is {value.ToJsonString()}, which is not done here: "
                    + (known.Length == 0 ? "leave it out." : $"{string.Join(" or ", known.ToArray())} is."));
            }
        }
    }

    private static YarnScaling? Scaling(JsonObject config, string path)
    {
        if ((config["rope_parameters"] ?? config["rope_scaling"]) is not JsonObject rope)
        {
            return null;
        }

        var type = (rope["rope_type"] ?? rope["type"])?.GetValue<string>() ?? "default";
        return type switch
        {
            "default" => null,
            "yarn" => new YarnScaling(
                Optional("factor") ?? throw new CheckpointFormatException($"{path}: YaRN without factor: add it to rope_parameters."),
                (int)(Optional("original_max_position_embeddings") ?? config["max_position_embeddings"]?.GetValue<double>() ?? 4096),
                Optional("beta_fast") ?? 32, Optional("beta_slow") ?? 1, Optional("mscale"), Optional("mscale_all_dim")),
            _ => throw new CheckpointFormatException($"{path}: rope_type is \"{type}\": DeepSeek models use default or yarn."),
        };

        double? Optional(string field) => rope[field]?.GetValue<double>();
    }
}
