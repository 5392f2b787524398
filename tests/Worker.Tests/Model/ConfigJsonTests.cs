using DeepSeekOps.Worker.Model;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Model;

[Collection(RandomNumbers.OneStream)]
public class ConfigJsonTests : DrawingTests
{
    private const string Common = """
        "model_type": "deepseek_v3", "vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 2, "intermediate_size": 20,
        "moe_intermediate_size": 12, "num_attention_heads": 3, "kv_lora_rank": 10, "qk_nope_head_dim": 7, "qk_rope_head_dim": 6,
        "v_head_dim": 5, "n_routed_experts": 6, "num_experts_per_tok": 2, "q_lora_rank": null
        """;

    [Theory]
    [InlineData("v3")]
    [InlineData("v2")]
    [InlineData("v2-lite")]
    [InlineData("mini")]
    public void A_shape_survives_its_config_json(string preset)
    {
        var path = Path.Combine(Path.GetTempPath(), $"dsops-config-{Guid.NewGuid():n}.json");
        var shape = ModelShapes.Presets[preset] with { Yarn = new YarnScaling(40, 4096, Mscale: 1, MscaleAllDim: 1) };
        File.WriteAllBytes(path, ConfigJson.ToBytes(shape));
        try
        {
            // An extended context is the whole context to whoever reads the file.
            Assert.Equal(shape with { MaxPositionEmbeddings = 40 * 4096 }, ConfigJson.Read(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_field_that_is_absent_is_what_transformers_makes_it()
    {
        Assert.Equal(ModelShapes.Presets["v3"] with { InitStd = 0.02, MtpDepth = 0 }, Config("{\"model_type\": \"deepseek_v3\"}").Shape);
        var v2 = Config("{\"model_type\": \"deepseek_v2\", \"num_experts_per_tok\": 6}").Shape;
        Assert.Equal((32000, 4096, 32, 0, 11008, 1407, 32),
            (v2.VocabSize, v2.HiddenSize, v2.Layers, v2.DenseLayers, v2.IntermediateSize, v2.MoeIntermediateSize, v2.Heads));
        Assert.Equal((1536, 512, 64, 2, 6, 1, 1, false, 1.0, 2048),
            (v2.QLoraRank, v2.KvLoraRank, v2.RoutedExperts, v2.SharedExperts, v2.ActiveExperts, v2.Groups,
            v2.LimitedGroups, v2.NormTopkProb, v2.RoutedScalingFactor, v2.MaxPositionEmbeddings));
        Assert.Equal(RoutingMethod.Softmax, v2.Routing);
        var refusal = Assert.Throws<CheckpointFormatException>(() => Config("{\"model_type\": \"deepseek_v2\"}"));
        Assert.Contains("num_experts_per_tok is missing", refusal.What, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"quant_method\": \"fp8\", \"fmt\": \"e4m3\", \"activation_scheme\": \"dynamic\", \"scale_fmt\": \"ue8m0\", "
        + "\"weight_block_size\": [64, 32]", 64)]
    [InlineData("\"quant_method\": \"compressed-tensors\", \"format\": \"float-quantized\"", 128)]
    [InlineData("\"quant_method\": \"compressed-tensors\", \"format\": \"float-quantized\", \"config_groups\": {\"group_0\": {\"weights\": "
        + "{\"num_bits\": 8, \"type\": \"float\", \"strategy\": \"block\", \"symmetric\": true, \"block_structure\": [32, 32]}}}", 32)]
    public void Kinds_of_float8_that_are_understood_are_read(string config, long rows) =>
        Assert.Equal(rows, Config($"{{\"quantization_config\": {{{config}}}}}").Quantization.Block.Rows);

    [Theory]
    [InlineData("\"quant_method\": \"awq\"", "quantization_config.quant_method is 'awq'")]
    [InlineData("\"bits\": 4", "quantization_config.quant_method is ''")]
    [InlineData("\"quant_method\": \"fp8\", \"fmt\": \"e5m2\"", "fmt is 'e5m2'")]
    [InlineData("\"quant_method\": \"fp8\", \"weight_block_size\": [0, 128]", "weight_block_size is not two numbers")]
    [InlineData("\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\"", "format is 'pack-quantized'")]
    [InlineData("\"quant_method\": \"compressed-tensors\", \"transform_config\": {\"config_groups\": {\"u\": 1}}",
        "transform_config is set")]
    [InlineData("\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"g\": {\"weights\": {\"num_bits\": 4}}}",
        "config_groups.g.weights.num_bits is not 8")]
    public void Weights_in_fewer_bits_of_another_kind_are_refused_by_their_field(string config, string said) => Assert.Contains(
        said, Assert.Throws<CheckpointFormatException>(() => Config($"{{\"quantization_config\": {{{config}}}}}")).What,
        StringComparison.Ordinal);

    [Fact]
    public void Old_and_new_transformers_say_the_same_of_rope()
    {
        var old = Parse("""
            "rope_theta": 5000, "rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 32, "mscale": 0.7, "mscale_all_dim": 0.7}
            """);
        var fresh = Parse("""
            "rope_parameters": {"rope_theta": 5000, "rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 32, "mscale": 0.7, "mscale_all_dim": 0.7}
            """);
        Assert.Equal(old, fresh);
        Assert.Equal(4, old.Yarn!.Factor);
        Assert.Null(Parse("\"rope_scaling\": null").Yarn);
        Assert.Equal(0, old.QLoraRank);
    }

    [Theory]
    [InlineData("\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}", "linear")]
    [InlineData("\"scoring_func\": \"softmax\"", "scoring_func")]
    [InlineData("\"hidden_act\": \"gelu\"", "hidden_act")]
    [InlineData("\"n_group\": 4", "n_group")]
    [InlineData("\"n_group\": 3, \"topk_group\": 9", "topk_group")]
    [InlineData("\"rms_norm_eps\": \"small\"", "rms_norm_eps")]
    [InlineData("\"num_key_value_heads\": 1", "num_key_value_heads is 1")]
    [InlineData("\"moe_layer_freq\": 2", "moe_layer_freq is 2")]
    [InlineData("\"topk_method\": \"greedy\"", "topk_method")]
    [InlineData("\"attention_dropout\": 0.1", "attention_dropout")]
    [InlineData("\"mlp_bias\": true", "mlp_bias")]
    [InlineData("\"head_dim\": 8", "head_dim is 8")]
    [InlineData("\"index_topk\": 2048", "index_topk")]
    [InlineData("\"final_logit_softcapping\": 30.0", "final_logit_softcapping is 30.0, and what it would change is not known")]
    [InlineData("\"attn_logit_softcapping\": 50", "attn_logit_softcapping is 50")]
    [InlineData("\"logit_scale\": 0.0625", "logit_scale is 0.0625")]
    [InlineData("\"embedding_multiplier\": 12", "embedding_multiplier is 12")]
    [InlineData("\"residual_multiplier\": 0.22", "residual_multiplier is 0.22")]
    [InlineData("\"sliding_window\": 4096", "sliding_window is 4096")]
    [InlineData("\"use_qk_norm\": true", "use_qk_norm is true")]
    [InlineData("\"layer_types\": [\"full_attention\", \"sliding_attention\"]", "layer_types is")]
    [InlineData("\"hidden_dropout\": 0.1", "hidden_dropout is 0.1")]
    [InlineData("\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4, \"long_factor\": [1.5]}", "rope_scaling.long_factor is [1.5]")]
    [InlineData("\"tie_word_embeddings\": 1", "tie_word_embeddings is 1")]
    [InlineData("\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4, \"attention_factor\": 1.2}", "attention_factor is 1.2")]
    [InlineData("\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4}, \"rope_parameters\": {\"rope_type\": \"default\"}",
        "both there and differ")]
    [InlineData("\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"default\"}}", "differ by layer")]
    [InlineData("\"num_nextn_predict_layers\": 2000000000", "num_nextn_predict_layers is 2000000000: at most 8")]
    [InlineData("\"first_k_dense_replace\": 2147483647", "first_k_dense_replace is 2147483647")]
    [InlineData("\"max_position_embeddings\": 0", "max_position_embeddings is 0: it must be 1 or more")]
    [InlineData("\"rope_theta\": -1", "rope_theta is -1: it must be 1 or more")]
    [InlineData("\"rms_norm_eps\": 0", "rms_norm_eps is 0: it must be above 0")]
    [InlineData("\"routed_scaling_factor\": -2.5", "routed_scaling_factor is -2.5: it must be above 0")]
    [InlineData("\"initializer_range\": -0.1", "initializer_range is -0.1")]
    [InlineData("\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 0}", "rope_scaling.factor is 0: it must be 1 or more")]
    [InlineData("\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 1e300}", "rope_scaling.factor is 1E+300")]
    public void What_cannot_be_built_is_refused_by_its_field(string field, string named)
    {
        var refusal = Assert.Throws<CheckpointFormatException>(() => Parse(field));
        Assert.Contains(named, refusal.Message, StringComparison.Ordinal);
        Assert.Contains("here/config.json", refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"final_logit_softcapping\": null, \"use_qk_norm\": false, \"layer_types\": [], \"hidden_dropout\": 0.0")]
    [InlineData("\"_name_or_path\": \"deepseek-ai/DeepSeek-V3\", \"transformers_version\": \"4.33.1\", \"auto_map\": {\"AutoConfig\": "
        + "\"configuration.Config\"}")]
    [InlineData("\"ep_size\": 1, \"pretraining_tp\": 1, \"seq_aux\": true, \"aux_loss_alpha\": 0.001, \"bos_token_id\": 0, "
        + "\"eos_token_id\": 1, \"use_cache\": true")]
    public void A_field_that_changes_nothing_or_is_switched_off_may_stay(string fields) =>
    Assert.Equal(Parse("\"hidden_act\": \"silu\""), Parse(fields));

    /// <summary>Two billion layers were listed tensor by tensor until the memory was gone, while every other submission waited.</summary>
    [Theory]
    [InlineData("\"num_hidden_layers\": 2000000000", "num_hidden_layers is 2000000000: at most 1000")]
    [InlineData("\"n_routed_experts\": 2000000000", "n_routed_experts is 2000000000: at most 100000")]
    [InlineData("\"num_hidden_layers\": 1000, \"n_routed_experts\": 1024", "at most 250000 experts in all")]
    [InlineData("\"kv_lora_rank\": 2147483647", "kv_lora_rank is 2147483647: at most 1000000")]
    public void A_shape_of_more_than_any_model_has_is_refused_before_its_tensors_are_listed(string fields, string said) =>
        Assert.Contains(said, Assert.Throws<CheckpointFormatException>(() => Config($"{{{fields}}}")).What, StringComparison.Ordinal);

    [Theory]
    [InlineData("\"first_k_dense_replace\": 0, \"n_group\": 6, \"topk_group\": 2, \"n_shared_experts\": 1")]
    [InlineData("\"first_k_dense_replace\": 2, \"n_shared_experts\": 2")]
    [InlineData("\"first_k_dense_replace\": 1, \"n_group\": 3, \"topk_group\": 1, \"num_nextn_predict_layers\": 2")]
    [InlineData("\"first_k_dense_replace\": 1, \"rope_interleave\": false, \"n_shared_experts\": null")]
    public void Odd_shapes_run_forward_backward_and_decode_alike(string fields)
    {
        using var scope = NewDisposeScope();
        using var model = new DeepSeekModel(Parse(fields) with { InitStd = 0.3 }, CPU);
        model.Initialise(1);
        var tokens = randint(0, 50, [2, 9], int64);
        var output = model.Forward(tokens);
        output.Logits.sum().backward();
        var attention = model.Parameters.Where(p => p.Name.StartsWith("model.layers.1.self_attn", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(attention);
        Assert.All(attention, p => Assert.NotNull(p.Value.grad));
        using var cache = model.NewCache(2, 9);
        Assert.True(allclose(output.Logits[TensorIndex.Colon, 8], model.Decode(tokens, cache), rtol: 1e-3, atol: 1e-3));
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("{\"vocab_size\": 1, \"vocab_size\": 2}")]
    [InlineData("{\"model_type\": 7}")]
    [InlineData("{\"model_type\": \"llama\"}")]
    public void A_damaged_file_is_one_clear_message(string text)
    {
        var path = Path.Combine(Path.GetTempPath(), $"dsops-config-{Guid.NewGuid():n}.json");
        File.WriteAllText(path, text);
        try
        {
            Assert.Contains(path, Assert.Throws<CheckpointFormatException>(() => ConfigJson.Read(path)).Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>What transformers would fill in does not fit so small a model: it is said, unless the test says otherwise.</summary>
    private static ModelShape Parse(string field)
    {
        string[] usual =
            [.. new[] { ("first_k_dense_replace", 0), ("n_group", 1), ("topk_group", 1), ("n_shared_experts", 0),
                ("routed_scaling_factor", 1) }
            .Where(f => !field.Contains($"\"{f.Item1}\"", StringComparison.Ordinal)).Select(f => $"\"{f.Item1}\": {f.Item2}")];
        return Config($"{{{string.Join(", ", [Common, .. usual, field])}}}").Shape;
    }

    private static PublishedModel Config(string text) => ConfigJson.Parse(System.Text.Encoding.UTF8.GetBytes(text), "here/config.json");
}
