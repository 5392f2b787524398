using DeepSeekOps.Worker.Checkpoints;
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
    public void What_cannot_be_built_is_refused_by_its_field(string field, string named)
    {
        var refusal = Assert.Throws<CheckpointFormatException>(() => Parse(field));
        Assert.Contains(named, refusal.Message, StringComparison.Ordinal);
        Assert.Contains("here/config.json", refusal.Message, StringComparison.Ordinal);
    }

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

    private static ModelShape Parse(string field) => ConfigJson.Parse($"{{{Common}, {field}}}", "here/config.json");
}
