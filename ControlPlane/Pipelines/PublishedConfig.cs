using System.Text.Json;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>
/// The shape in Hugging Face's config.json of a DeepSeek-V2 or V3, as published (rope_theta, rope_scaling) and as newer transformers
/// write it (rope_parameters). The rank that loads the weights reads it again and compares it with the shape it was given.
/// </summary>
internal static class PublishedConfig
{
    public const string FileName = "config.json";

    /// <exception cref="FormatException">What is wrong, by field.</exception>
    public static ModelShape Read(byte[] text)
    {
        using var document = Parsed(text);
        var config = document.RootElement;
        string type = Text(config, "model_type") ?? "deepseek_v3";
        bool v3 = type is "deepseek_v3" or "deepseek_v32";
        if (!v3 && type != "deepseek_v2")
        {
            throw new FormatException($"model_type is '{type}'; deepseek_v2 and deepseek_v3 are read.");
        }
        var rope = Part(config, "rope_parameters") ?? Part(config, "rope_scaling");
        var shape = new ModelShape
        {
            VocabSize = Whole(config, "vocab_size"), HiddenSize = Whole(config, "hidden_size"), Layers = Whole(config, "num_hidden_layers"),
            DenseLayers = Whole(config, "first_k_dense_replace", 0), IntermediateSize = Whole(config, "intermediate_size"),
            MoeIntermediateSize = Whole(config, "moe_intermediate_size", 0), Heads = Whole(config, "num_attention_heads"),
            QLoraRank = Whole(config, "q_lora_rank", 0), KvLoraRank = Whole(config, "kv_lora_rank"),
            QkNopeHeadDim = Whole(config, "qk_nope_head_dim"), QkRopeHeadDim = Whole(config, "qk_rope_head_dim"),
            VHeadDim = Whole(config, "v_head_dim"), RoutedExperts = Whole(config, "n_routed_experts", 0),
            SharedExperts = Whole(config, "n_shared_experts", 0), ActiveExperts = Whole(config, "num_experts_per_tok", 0),
            Groups = Whole(config, "n_group", 1), LimitedGroups = Whole(config, "topk_group", 1),
            TopkMethod = v3 ? TopkMethod.NoauxTc : Method(Text(config, "topk_method") ?? "greedy"),
            NormTopkProb = Flag(config, "norm_topk_prob") ?? v3, RoutedScalingFactor = Number(config, "routed_scaling_factor") ?? 1,
            MtpDepth = Whole(config, "num_nextn_predict_layers", 0), RmsNormEps = Number(config, "rms_norm_eps") ?? 1e-6,
            InitStd = Number(config, "initializer_range") ?? 0.02, MaxPositionEmbeddings = Whole(config, "max_position_embeddings", 4096),
            RopeTheta = (rope is { } inner ? Number(inner, "rope_theta") : null) ?? Number(config, "rope_theta") ?? 10000,
            RopeInterleave = Flag(config, "rope_interleave") ?? true, AttentionBias = Flag(config, "attention_bias") ?? false,
            TiedEmbeddings = Flag(config, "tie_word_embeddings") ?? false,
            Yarn = rope is { } scaling ? Stretch(scaling, config) : null,
        };
        // With one of these at 0 nothing could be reckoned: groups, for one, divide.
        string[] empty = [.. new[] { (shape.VocabSize, "vocab_size"), (shape.HiddenSize, "hidden_size"), (shape.Layers, "num_hidden_layers"),
            (shape.Heads, "num_attention_heads"), (shape.KvLoraRank, "kv_lora_rank"), (shape.RoutedExperts, "n_routed_experts"),
            (shape.Groups, "n_group"), (shape.LimitedGroups, "topk_group"), (shape.ActiveExperts, "num_experts_per_tok") }
            .Where(f => f.Item1 < 1).Select(f => f.Item2)];
        return empty.Length == 0 ? shape : throw new FormatException($"{string.Join(", ", empty)} must be at least 1.");
    }

    private static JsonDocument Parsed(byte[] text)
    {
        try
        {
            var document = JsonDocument.Parse(text, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return document.RootElement.ValueKind == JsonValueKind.Object ? document : throw new FormatException("it is no JSON object.");
        }
        catch (JsonException e)
        {
            throw new FormatException($"it is no JSON: {e.Message}", e);
        }
    }

    private static TopkMethod Method(string word) => word switch
    {
        "noaux_tc" => TopkMethod.NoauxTc,
        "group_limited_greedy" => TopkMethod.GroupLimitedGreedy,
        "greedy" => TopkMethod.Greedy,
        _ => throw new FormatException($"topk_method is '{word}'; noaux_tc, group_limited_greedy and greedy are known."),
    };

    /// <summary>A mscale that is left out is 0, by which the attention's temperature stays as transformers has it.</summary>
    private static Yarn? Stretch(JsonElement rope, JsonElement config) => (Text(rope, "rope_type") ?? Text(rope, "type") ?? "default") switch
    {
        "default" => null,
        "yarn" => new Yarn
        {
            Factor = Number(rope, "factor") ?? throw new FormatException("YaRN has no factor."),
            OriginalLength = Whole(rope, "original_max_position_embeddings", Whole(config, "max_position_embeddings", 4096)),
            BetaFast = Number(rope, "beta_fast") ?? 32, BetaSlow = Number(rope, "beta_slow") ?? 1,
            Mscale = Number(rope, "mscale") ?? 0, MscaleAllDim = Number(rope, "mscale_all_dim") ?? 0,
        },
        var other => throw new FormatException($"rope_type is '{other}'; default and yarn are known."),
    };

    private static JsonElement? Some(JsonElement from, string field) =>
        from.TryGetProperty(field, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static JsonElement? Part(JsonElement from, string field) => Some(from, field) is { ValueKind: JsonValueKind.Object } part ? part : null;

    private static string? Text(JsonElement from, string field) => Some(from, field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } text => text.GetString(),
        { } other => throw new FormatException($"{field} is {other.GetRawText()}; a word is wanted."),
    };

    private static bool? Flag(JsonElement from, string field) => Some(from, field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True or JsonValueKind.False } flag => flag.GetBoolean(),
        { } other => throw new FormatException($"{field} is {other.GetRawText()}; true or false is wanted."),
    };

    private static double? Number(JsonElement from, string field) => Some(from, field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Number } number when number.TryGetDouble(out double value) && double.IsFinite(value) => value,
        { } other => throw new FormatException($"{field} is {other.GetRawText()}; a number is wanted."),
    };

    private static int Whole(JsonElement from, string field, int? absent = null) => Number(from, field) switch
    {
        null => absent ?? throw new FormatException($"{field} is missing."),
        { } number when number == Math.Floor(number) && number is >= 0 and <= int.MaxValue => (int)number,
        { } number => throw new FormatException($"{field} is {number}; a whole number from 0 to {int.MaxValue} is wanted."),
    };
}
