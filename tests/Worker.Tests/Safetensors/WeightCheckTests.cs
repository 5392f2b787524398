using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using DeepSeekOps.Worker.Model;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Safetensors;

/// <summary>What submission and rank say of the tensors of a folder, before any number is read.</summary>
public sealed class WeightCheckTests : IDisposable
{
    private const string Gate = "model.layers.0.mlp.gate_proj.weight";

    private static readonly ModelShape Shape = ModelShapes.Presets["mini"] with
    {
        VocabSize = 40,
        HiddenSize = 16,
        IntermediateSize = 200,
        MoeIntermediateSize = 4,
        Layers = 2,
        RoutedExperts = 4,
        ActiveExperts = 2,
    };

    private static readonly Quantization CompressedTensors = Quantization.None with { Method = "compressed-tensors" };

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dsops-weights-");
    private readonly Dictionary<string, (string Type, long[] Shape)> _tensors =
        WeightShapes.Published(Shape).ToDictionary(w => w.Name, w => ("BF16", w.Dimensions));

    private readonly HashSet<string> _damaged = [];

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void What_the_shape_speaks_of_and_nothing_else_is_taken_without_a_word()
    {
        var plan = Compared();
        Assert.Equal((0, 0, 0), (plan.Scales.Count, plan.AbsentMtp.Count, plan.Notes.Count));
    }

    [Theory]
    [InlineData("_scale_inv", new long[] { 2, 1 }, 128, 128)]
    [InlineData("_scale", new long[] { 2, 1 }, 128, 128)]
    [InlineData("_scale", new long[] { 1 }, 200, 16)]
    [InlineData("_scale", new long[] { }, 200, 16)]
    [InlineData("_scale", new long[] { 200, 1 }, 1, 16)]
    [InlineData("_scale", new long[] { 200 }, 1, 16)]
    public void A_float8_weight_is_given_its_scale_whatever_its_name_and_size(string name, long[] size, long rows, long columns)
    {
        _tensors[Gate] = ("F8_E4M3", [200, 16]);
        _tensors[Gate + name] = ("F32", size);
        Assert.Equal(new WeightScale(Gate + name, new ScaleBlock(rows, columns)), Compared(CompressedTensors).Scales[Gate]);
    }

    [Theory]
    [InlineData(Gate + "_scale_inv", "F32", new long[] { 3, 3 }, "is [3, 3], which is neither one for")]
    [InlineData(Gate + "_scale_inv", "F8_E8M0", new long[] { 2, 1 }, "the scale model.layers.0.mlp.gate_proj.weight_scale_inv is F8_E8M0")]
    [InlineData(Gate + "_scales", "F32", new long[] { 1 }, "is float8 and has no")]
    [InlineData("scale_weight", "F32", new long[] { 1 }, "is float8 and has no")]
    public void A_float8_weight_whose_scale_is_not_understood_is_refused_by_its_name(string scale, string type, long[] size, string said)
    {
        _tensors[Gate] = ("F8_E4M3", [200, 16]);
        _tensors[scale] = (type, size);
        Refused(said, CompressedTensors);
    }

    [Theory]
    [InlineData(Gate + "_scales")]
    [InlineData(Gate + "_zero_point")]
    [InlineData("model.layers.0.self_attn.q_a_proj.bias")]
    [InlineData("model.layers.0.self_attn.indexer.wk.weight")]
    [InlineData("model.layers.0.mlp.gate_proj.lora_A.weight")]
    [InlineData("model.layers.1.mlp.experts.4.up_proj.weight")]
    [InlineData("score.weight")]
    [InlineData("model.layers.7.input_layernorm.weight")]
    public void A_tensor_that_the_model_has_not_is_refused_by_its_name(string name)
    {
        _tensors[name] = ("U16", [3]);
        Refused($"has the tensor {name}, which the model");
    }

    [Fact]
    public void What_changes_nothing_may_stay()
    {
        _tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = ("F32", [8]);
        _tensors["model.layers.2.embed_tokens.weight"] = ("BF16", [40, 16]);
        _tensors["model.layers.2.shared_head.head.weight"] = ("BF16", [40, 16]);
        _tensors["model.layers.3.eh_proj.weight"] = ("BF16", [16, 32]);
        _tensors["model.layers.3.mlp.gate.weight"] = ("BF16", [4, 16]);
        Assert.Empty(Compared().Notes);
        _tensors["model.layers.0.self_attn.o_proj.input_scale"] = ("F32", [1]);
        Assert.Contains("1 scales of activations", Assert.Single(Compared().Notes), StringComparison.Ordinal);
    }

    /// <summary>transformers writes one tensor, other programs both, and some fine-tune the head apart.</summary>
    [Theory]
    [InlineData("BF16", "BF16")]
    [InlineData("BF16", "F32")]
    [InlineData("F16", "F64")]
    public void A_tied_model_may_store_its_head_where_it_is_the_embedding_and_is_refused_where_it_differs(string embedding, string head)
    {
        _tensors["model.embed_tokens.weight"] = (embedding, [40, 16]);
        _tensors["lm_head.weight"] = (head, [40, 16]);
        Assert.Empty(Compared(tied: true).Notes);
        Damage("lm_head.weight");
        Refused("tensor lm_head.weight is not the same as model.embed_tokens.weight, although tie_word_embeddings", tied: true);
        _tensors["lm_head.weight"] = (head, [16, 40]);
        Refused("tensor lm_head.weight is not the same as", tied: true);
    }

    [Theory]
    [InlineData("model.layers.2.embed_tokens.weight", "model.embed_tokens.weight")]
    [InlineData("model.layers.2.shared_head.head.weight", "lm_head.weight")]
    public void A_copy_in_a_module_for_further_tokens_that_differs_is_refused(string copy, string original)
    {
        _tensors[copy] = ("BF16", [40, 16]);
        Assert.Empty(Compared().Notes);
        Damage(copy);
        Refused($"tensor {copy} is not the same as {original}, which it shares with the main model");
    }

    [Fact]
    public void What_is_missing_of_another_size_or_type_is_told_by_its_name()
    {
        _tensors[Gate] = ("I8", [200, 16]);
        Refused($"tensor {Gate} is I8; weights are read as");
        _tensors[Gate] = ("F8_E5M2", [200, 16]);
        Refused($"tensor {Gate} is F8_E5M2; weights are read as");
        _tensors[Gate] = ("F32", [16, 200]);
        Refused($"tensor {Gate} is [16, 200], the model needs [200, 16]");
        _tensors.Remove(Gate);
        Refused($"has no tensor {Gate}. Copy the checkpoint again");
    }

    [Fact]
    public void Modules_for_further_tokens_may_be_absent()
    {
        foreach (var name in _tensors.Keys.Where(n => n.StartsWith("model.layers.2.", StringComparison.Ordinal)).ToList())
        {
            _tensors.Remove(name);
        }

        Assert.Equal(["model.layers.2."], Compared().AbsentMtp);
    }

    [Fact]
    public void Any_config_and_any_header_give_a_shape_and_a_plan_or_a_refusal_in_words()
    {
        var config = ConfigJson.ToBytes(Shape with { Yarn = new YarnScaling(4, 64) });
        var header = Header();
        Gen.Select(Gen.Int[0, config.Length - 1], Gen.Int[0, header.Length - 9], Gen.Byte, Gen.Byte).Array[1, 3].Sample(hits =>
        {
            var (damagedConfig, damagedHeader) = ((byte[])config.Clone(), (byte[])header.Clone());
            foreach (var (inConfig, inHeader, one, other) in hits)
            {
                damagedConfig[inConfig] = one;
                damagedHeader[8 + inHeader] = other;
            }

            File.WriteAllBytes(Path.Combine(_folder.FullName, WeightList.Single), damagedHeader);
            try
            {
                var (shape, quantization) = ConfigJson.Parse(damagedConfig, "config.json");
                WeightCheck.Compare(
                    shape with
                    {
                        Layers = Math.Min(shape.Layers, 4),
                        MtpDepth = Math.Min(shape.MtpDepth, 4),
                        RoutedExperts = Math.Min(shape.RoutedExperts, 64),
                    },
                    quantization, WeightList.Read(_folder.FullName));
            }
            catch (CheckpointFormatException e)
            {
                Assert.NotEqual("", e.What);
            }
        }, iter: 2000, threads: 1);
    }

    private WeightPlan Compared(Quantization? quantization = null, bool tied = false)
    {
        File.WriteAllBytes(Path.Combine(_folder.FullName, WeightList.Single), Header());
        return WeightCheck.Compare(Shape with { TiedEmbeddings = tied }, quantization ?? Quantization.None,
            WeightList.Read(_folder.FullName));
    }

    private void Refused(string said, Quantization? quantization = null, bool tied = false)
    {
        var refusal = Assert.Throws<CheckpointFormatException>(() => Compared(quantization, tied));
        Assert.Contains(said, refusal.Message, StringComparison.Ordinal);
        Assert.NotEqual("", refusal.Fix);
    }

    /// <summary>Its last number is no zero any more.</summary>
    private void Damage(string tensor) => _damaged.Add(tensor);

    /// <summary>A whole file; its numbers are zeros.</summary>
    private byte[] Header()
    {
        var (json, end, damaged) = (new JsonObject(), 0L, new List<long>());
        foreach (var (name, (type, shape)) in _tensors)
        {
            var bytes = shape.Aggregate(1L, (a, b) => a * b) * ElementTypes.BitsOf(type)!.Value / 8;
            json[name] = new JsonObject
            {
                ["dtype"] = type, ["shape"] = new JsonArray([.. shape.Select(s => (JsonNode)s)]),
                ["data_offsets"] = new JsonArray(end, end + bytes),
            };
            end += bytes;
            damaged.AddRange(_damaged.Contains(name) ? [end - 1] : []);
        }

        var numbers = new byte[end];
        damaged.ForEach(at => numbers[at] = 0x40);

        var text = Encoding.UTF8.GetBytes(json.ToJsonString());
        return [.. BitConverter.GetBytes((long)text.Length), .. text, .. numbers];
    }
}
