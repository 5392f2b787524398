using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Weights;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

public sealed class BeginningModelTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("dsops-weights-");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void The_shape_is_that_of_the_folder_and_the_digest_that_of_its_config_and_index()
    {
        Config();
        Shards("a", "b");
        var spec = Parsed("from: w").Spec!;
        Assert.Equal(folder.FullName, Path.GetDirectoryName(spec.ModelFrom!.Folder));
        Assert.Equal((64, 3, 16, 1), (spec.Model.HiddenSize, spec.Model.Layers, spec.Model.RoutedExperts, spec.Model.MtpDepth));
        Assert.Equal((0.02, 256), (spec.Model.InitStd, spec.Model.ContextLength));
        Assert.Equal((4.0, 64, 0.0), (spec.Model.Yarn!.Factor, spec.Model.Yarn.OriginalLength, spec.Model.Yarn.MscaleAllDim));
        byte[] bytes = [.. File.ReadAllBytes(In("config.json")), .. File.ReadAllBytes(In("model.safetensors.index.json"))];
        Assert.Equal(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes)), spec.ModelFrom.Digest);
        var plan = TrainingPlans.ToProto(spec, "s");
        Assert.Equal((64, 4.0, true), (plan.Model.HiddenSize, plan.Model.Yarn.Factor, plan.Model.Yarn.HasMscale));
        Assert.StartsWith($"{spec.ModelFrom.Folder} (sha256 {spec.ModelFrom.Digest[..12]}", CheckpointRef.Of(spec.ModelFrom).Lineage,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_copy_of_the_pipeline_is_the_same_with_and_without_the_folder_in_sight()
    {
        Config();
        Shards("a");
        var spec = Parsed("from: w, mtpDepth: 2").Spec!;
        string yaml = PipelineText.ToYaml(spec);
        var again = PipelineText.Parse(yaml, null, File.Exists);
        Assert.Empty(again.Problems.Select(p => p.ToString()));
        Assert.Equal(JsonSerializer.Serialize(spec), JsonSerializer.Serialize(again.Spec));
        Directory.Delete(In(""), recursive: true);
        var elsewhere = PipelineText.Parse(yaml);
        Assert.Empty(elsewhere.Problems.Select(p => p.ToString()));
        Assert.Equal(spec.Model, elsewhere.Spec!.Model);
        Assert.Empty(PipelineDiff.Between(spec, elsewhere.Spec));
        Assert.Equal(JsonSerializer.Serialize(spec),
            JsonSerializer.Serialize(JsonSerializer.Deserialize<PipelineSpec>(JsonSerializer.Serialize(spec))));
    }

    [Theory]
    [InlineData("from: w, hiddenSize: 128", "model.hiddenSize", "config.json says 64")]
    [InlineData("from: w, mtpDepth: 0", "model.mtpDepth", "config.json says 1")]
    [InlineData("from: w, preset: mini", "model.preset", "hiddenSize 64 instead of 128")]
    [InlineData("from: w, yarn: {factor: 8, originalLength: 64}", "model.yarn", "factor: 4")]
    [InlineData("from: nowhere", "model.from", "There is no config.json in")]
    [InlineData("from: w, form: x", "model.form", "Unknown key 'form' in a model")]
    public void What_is_said_beside_the_folder_has_to_agree_with_it(string model, string field, string said)
    {
        Config();
        Shards("a");
        Told(model, field, said);
    }

    [Theory]
    [InlineData("model_type", "\"llama\"", "model_type is 'llama'")]
    [InlineData("hidden_size", "64.5", "hidden_size is 64.5")]
    [InlineData("n_group", "0", "n_group is 0: it must be at least 1")]
    [InlineData("attention_bias", "\"yes\"", "attention_bias is \"yes\"")]
    [InlineData("kv_lora_rank", null, "kv_lora_rank is missing")]
    public void A_config_that_cannot_be_trained_is_told_by_its_field(string field, string? value, string said)
    {
        Config();
        Shards("a");
        Config(c => c[field] = value is null ? null : JsonNode.Parse(value));
        Told("from: w", "model.from", said);
    }

    [Fact]
    public void A_shard_that_is_missing_or_cut_off_is_told_at_submission()
    {
        Config();
        Told("from: w", "model.from", "neither model.safetensors nor model.safetensors.index.json");
        Shards("a", "b");
        File.WriteAllBytes(In("b.safetensors"), File.ReadAllBytes(In("b.safetensors"))[..^1]);
        Told("from: w", "model.from", "b.safetensors is not a whole safetensors file");
        const string Pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n";
        File.WriteAllText(In("b.safetensors"), Pointer);
        Told("from: w", "model.from", "b.safetensors is a pointer of Git LFS");
        File.Delete(In("a.safetensors"));
        Told("from: w", "model.from", "The shard a.safetensors");
        File.WriteAllText(In("config.json"), Pointer);
        Told("from: w", "model.from", "config.json' is a pointer of Git LFS");
    }

    [Fact]
    public void The_single_file_is_taken_before_an_index_and_both_are_named()
    {
        Config();
        Shards("model");
        var parse = Parsed("from: w");
        Assert.NotNull(parse.Spec);
        Assert.Contains("has both model.safetensors and model.safetensors.index.json", Assert.Single(parse.Warnings).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("extra.weight", "F8_E8M0", "has the tensor extra.weight")]
    [InlineData("model.norm.weight_scale", "F32", "has the tensor model.norm.weight_scale")]
    [InlineData("model.layers.9.mlp.gate.weight", "U16", "has the tensor model.layers.9.mlp.gate.weight")]
    public void A_tensor_that_the_model_has_not_is_told_at_submission(string name, string type, string said)
    {
        Config();
        var all = WeightShapes.Published(ConfigJson.Read(In("config.json"))).Select(w => (w.Name, "F32", w.Dimensions));
        Write("model.safetensors", [.. all, (name, type, [4])]);
        Told("from: w", "model.from", said);
    }

    [Theory]
    [InlineData("num_key_value_heads", "2", "num_key_value_heads is 2")]
    [InlineData("hidden_act", "\"gelu\"", "hidden_act is")]
    [InlineData("scoring_func", "\"softmax\"", "scoring_func is")]
    [InlineData("moe_layer_freq", "2", "moe_layer_freq is 2")]
    [InlineData("quantization_config", "{\"quant_method\": \"awq\"}", "quant_method is 'awq'")]
    [InlineData("rope_scaling", "{\"type\": \"yarn\", \"factor\": 4, \"attention_factor\": 2}", "attention_factor is 2")]
    public void What_changes_numbers_and_is_not_done_here_is_told_without_looking_at_files_too(string field, string value, string said)
    {
        Config(c => c[field] = JsonNode.Parse(value));
        var problem = Assert.Single(PipelineText.Parse(Text("from: w"), folder.FullName).Errors);
        Assert.Contains(said, problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_config_that_is_a_device_is_refused_without_being_read()
    {
        Directory.CreateDirectory(In(""));
        File.CreateSymbolicLink(In("config.json"), "/dev/zero");
        Told("from: w", "model.from", "is a device, not a file");
    }

    [Fact]
    public void The_tokenizer_beside_the_weights_is_used_unless_the_text_names_one()
    {
        Config();
        Shards("a");
        File.WriteAllText(In("tokenizer.json"), Tokenizer(300));
        var spec = Parsed("from: w").Spec!;
        Assert.Equal(In("tokenizer.json"), spec.Data.Tokenizer);
        var named = PipelineText.Parse(Text("from: w") + "\ndata: {tokenizer: byte}", folder.FullName, File.Exists).Spec!;
        Assert.Equal("byte", named.Data.Tokenizer);
        Assert.Equal("byte", PipelineText.Parse(PipelineText.ToYaml(named)).Spec!.Data.Tokenizer);
        File.WriteAllText(In("tokenizer.json"), Tokenizer(312));
        Told("from: w", "data.tokenizer", "has 321 ids with its marks, the model 320");
    }

    [Fact]
    public void Without_a_folder_the_first_stage_still_has_to_be_pretraining()
    {
        var problem = Assert.Single(PipelineText.Parse(Text("preset: mini")).Errors);
        Assert.Contains("model.from", problem.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void Where_the_folder_is_not_in_sight_the_shape_has_to_be_said()
    {
        var problem = Assert.Single(PipelineText.Parse(Text("from: /models/v3")).Errors);
        Assert.Equal("model.from", problem.Field);
        Assert.Contains("preset", problem.Fix, StringComparison.Ordinal);
        var relative = Assert.Single(PipelineText.Parse(Text("from: w, preset: mini"), null, File.Exists).Errors);
        Assert.Contains("Write the whole path", relative.Fix, StringComparison.Ordinal);
        Assert.Equal("/models/v3", PipelineText.Parse(Text("from: /models/v3, preset: mini"), "/x", _ => true).Spec!.ModelFrom!.Folder);
    }

    private static string Tokenizer(int largest) => $$$"""
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
         "model": {"type": "BPE", "vocab": {"a": 0, "b": {{{largest}}} }, "merges": []}}
        """;

    private string In(string file) => Path.Combine(folder.FullName, "w", file);

    private PipelineParse Parsed(string model) => PipelineText.Parse(Text(model), folder.FullName, File.Exists);

    private void Told(string model, string field, string said)
    {
        var problem = Assert.Single(Parsed(model).Errors);
        Assert.Equal(field, problem.Field);
        Assert.Contains(said, problem.Message, StringComparison.Ordinal);
        Assert.NotEqual("", problem.Fix);
    }

    private static string Text(string model) => $$$"""
        apiVersion: deepseekops/v1
        name: tuned
        model: {{{{model}}}}
        checkpoints: {everySteps: 2}
        stages:
          - {name: s, kind: sft, instances: 8, sequenceLength: 64, batchSize: 2, learningRate: 1e-3}
        """;

    private void Config(Action<JsonObject>? change = null)
    {
        var config = JsonNode.Parse("""
            {
              "model_type": "deepseek_v3", "vocab_size": 320, "hidden_size": 64, "num_hidden_layers": 3, "first_k_dense_replace": 1,
              "intermediate_size": 160,
              "moe_intermediate_size": 48, "num_attention_heads": 4, "q_lora_rank": 32, "kv_lora_rank": 24, "qk_nope_head_dim": 16,
              "qk_rope_head_dim": 8,
              "v_head_dim": 16, "n_routed_experts": 16, "n_shared_experts": 1, "num_experts_per_tok": 4, "n_group": 8, "topk_group": 4,
              "norm_topk_prob": true,
              "routed_scaling_factor": 2.5, "num_nextn_predict_layers": 1, "max_position_embeddings": 128, "rms_norm_eps": 1e-6,
              "initializer_range": 0.02,
              "rope_theta": 10000, "rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 64,
              "beta_fast": 32, "beta_slow": 1}
            }
            """)!.AsObject();
        change?.Invoke(config);
        Directory.CreateDirectory(In(""));
        File.WriteAllText(In("config.json"), config.ToJsonString());
    }

    /// <summary>Whole weights of the shape that config.json tells, all zeros, dealt to shards.</summary>
    private void Shards(params string[] names)
    {
        var all = WeightShapes.Published(ConfigJson.Read(In("config.json"))).Select(w => (w.Name, Type: "F32", w.Dimensions)).ToList();
        var map = new JsonObject();
        for (int i = 0; i < names.Length; i++)
        {
            var own = all.Where((_, at) => at % names.Length == i).ToList();
            Write($"{names[i]}.safetensors", own);
            own.ForEach(tensor => map[tensor.Name] = $"{names[i]}.safetensors");
        }

        File.WriteAllText(In("model.safetensors.index.json"), new JsonObject { ["weight_map"] = map }.ToJsonString());
    }

    private void Write(string file, IEnumerable<(string Name, string Type, long[] Dimensions)> tensors)
    {
        var (json, end) = (new JsonObject(), 0L);
        foreach (var (name, type, dimensions) in tensors)
        {
            long bytes = dimensions.Aggregate(1L, (a, b) => a * b) * ElementTypes.BitsOf(type)!.Value / 8;
            json[name] = new JsonObject
            {
                ["dtype"] = type, ["shape"] = new JsonArray([.. dimensions.Select(d => (JsonNode)d)]),
                ["data_offsets"] = new JsonArray(end, end + bytes),
            };
            end += bytes;
        }

        byte[] header = Encoding.UTF8.GetBytes(json.ToJsonString());
        File.WriteAllBytes(In(file), [.. BitConverter.GetBytes((long)header.Length), .. header, .. new byte[end]]);
    }
}
