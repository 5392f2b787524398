using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.Recipes.Weights;

/// <summary>What a config.json says: the shape, and how its weights are stored.</summary>
public sealed record PublishedModel(ModelShape Shape, Quantization Quantization);

/// <summary>
/// Hugging Face's config.json of DeepSeek-V2 and V3, as published (rope_theta, rope_scaling) and as newer transformers write it
/// (rope_parameters). A field that is absent is what transformers' configuration class of the model makes it; what would change the
/// numbers and is not done here is refused by its field.
/// </summary>
public static class ConfigJson
{
    public const string FileName = "config.json";

    /// <summary>Published ones have 2 KB; a list of all modules that are not quantised may make it 1 MB.</summary>
    public const int BytesMax = 8 << 20;

    /// <exception cref="CheckpointFormatException">What is wrong, by field.</exception>
    public static ModelShape Read(string path) => ReadModel(path).Shape;

    /// <exception cref="CheckpointFormatException">What is wrong, by field.</exception>
    public static PublishedModel ReadModel(string path)
    {
        try
        {
            return Parse(NamedFile.ReadAll(path, BytesMax), path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointFormatException($"{path}: {e.Message}", "A config.json of DeepSeek-V2 or V3 is wanted there.");
        }
    }

    /// <exception cref="CheckpointFormatException">What is wrong, by field.</exception>
    public static PublishedModel Parse(byte[] text, string path)
    {
        try
        {
            using var document = JsonDocument.Parse(JsonText.WithoutMark(text), JsonText.Strict);
            JsonText.Require(document.RootElement.ValueKind == JsonValueKind.Object, "it is not a JSON object");
            var config = new ConfigFields(document.RootElement);
            var shape = config.Shape();
            return shape.Problems() is { Count: > 0 } problems ? throw new FormatException(string.Join("; ", problems))
                : new PublishedModel(shape, Quantization.Of(document.RootElement));
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException)
        {
            throw new CheckpointFormatException(
                $"{path}: {(e is FormatException ? e.Message : JsonText.NotJson)}.",
                "Name the folder of a DeepSeek-V2 or V3 with the config.json it was published with.");
        }
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
                ["type"] = "yarn", ["rope_type"] = "yarn", ["factor"] = yarn.Factor,
                ["original_max_position_embeddings"] = yarn.OriginalLength,
                ["beta_fast"] = yarn.BetaFast, ["beta_slow"] = yarn.BetaSlow, ["mscale"] = yarn.Mscale,
                ["mscale_all_dim"] = yarn.MscaleAllDim,
            };
        }

        return Encoding.UTF8.GetBytes(config.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
    }
}
