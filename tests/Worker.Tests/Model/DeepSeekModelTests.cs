using DeepSeekOps.Worker.Model;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Model;

[Collection(RandomNumbers.OneStream)]
public class DeepSeekModelTests : DrawingTests
{
    private static readonly ModelShape Mini = ModelShapes.Presets["mini"];

    [Fact]
    public void Published_sizes_come_out_of_the_shapes()
    {
        Assert.Equal(671_026_419_200, WeightShapes.Count(ModelShapes.Presets["v3"] with { MtpDepth = 0 }));
        Assert.Equal(235.74, WeightShapes.Count(ModelShapes.Presets["v2"]) / 1e9, 2);
        Assert.Equal(15.7, WeightShapes.Count(ModelShapes.Presets["v2-lite"]) / 1e9, 1);
        Assert.Equal(37.55, WeightShapes.CountActive(ModelShapes.Presets["v3"] with { MtpDepth = 0 }) / 1e9, 2);
    }

    [Fact]
    public void Tied_embeddings_are_one_tensor_that_config_json_remembers()
    {
        var tied = ConfigJson.Parse(ConfigJson.ToBytes(Mini with { TiedEmbeddings = true }), "test").Shape;
        Assert.True(tied.TiedEmbeddings);
        using var model = Made(tied);
        Assert.DoesNotContain(model.PublishedTensors(), t => t.Name == WeightShapes.Head);
        Assert.Equal([1, 3, 272], model.Forward(tensor(new long[] { 1, 2, 3 }).unsqueeze(0), training: false).Logits.shape);
    }

    [Theory]
    [InlineData(0, RoutingMethod.SigmoidWithBias, 4, 2, false)]
    [InlineData(24, RoutingMethod.SigmoidWithBias, 8, 1, true)]
    [InlineData(0, RoutingMethod.Softmax, 1, 1, false)]
    [InlineData(24, RoutingMethod.SoftmaxGroups, 4, 1, true)]
    public void Decoding_by_latents_gives_the_logits_of_the_whole_forward(int qLora, RoutingMethod routing, int groups, int limited,
        bool yarn)
    {
        using var scope = NewDisposeScope();
        using var model = Made(Mini with
        {
            QLoraRank = qLora,
            Routing = routing,
            Groups = groups,
            LimitedGroups = limited,
            ActiveExperts = 2,
            VHeadDim = 24,
            InitStd = 0.2,
            Yarn = yarn ? new YarnScaling(4, 128, Mscale: 1, MscaleAllDim: 0.7) : null,
        });
        var tokens = randint(0, 272, [3, 12], int64);
        var whole = model.Forward(tokens, training: false).Logits;
        using var cache = model.NewCache(3, 16);
        Assert.True(allclose(whole[TensorIndex.Colon, 6], model.Decode(tokens.narrow(1, 0, 7), cache), rtol: 1e-3, atol: 1e-3));
        for (var i = 7; i < 12; i++)
        {
            Assert.True(allclose(whole[TensorIndex.Colon, i], model.Decode(tokens.narrow(1, i, 1), cache), rtol: 1e-3, atol: 1e-3));
        }
    }

    [Fact]
    public void Who_holds_a_part_of_a_model_begins_with_the_same_numbers_in_it()
    {
        using var scope = NewDisposeScope();
        using var whole = Made(Mini);
        var weights = whole.PublishedTensors().ToDictionary(t => t.Name, t => t.Value);
        // Fewer layers of fewer experts, in another precision: what is there is as it is in the whole.
        using var part = new DeepSeekModel(Mini with { Layers = Mini.DenseLayers + 1, RoutedExperts = 8, MtpDepth = 0 }, CPU,
            ScalarType.Float64);
        part.Initialise(7);
        var held = part.PublishedTensors().Where(t => !t.Name.Contains("gate.", StringComparison.Ordinal)).ToList();
        Assert.Contains(held, t => t.Name.Contains("experts.7.up_proj", StringComparison.Ordinal));
        Assert.All(held, t => Assert.True(t.Value.to(ScalarType.Float32).equal(weights[t.Name]).all().item<bool>(), t.Name));
    }

    [Fact]
    public void Tensors_begin_normal_norms_at_one_and_biases_at_nought()
    {
        using var scope = NewDisposeScope();
        using var model = Made(Mini with { AttentionBias = true });
        foreach (var (name, value) in model.PublishedTensors())
        {
            if (value.dim() == 1)
            {
                Assert.True((value == (name.EndsWith("bias", StringComparison.Ordinal) ? 0 : 1)).all().item<bool>(), name);
                continue;
            }
            // Five standard errors of a sample as large as the tensor.
            var (samples, allowed) = (value.numel(), 5 * Mini.InitStd / Math.Sqrt(value.numel()));
            Assert.True(
                Math.Abs(value.mean().item<float>()) < allowed
                    && Math.Abs(value.std().item<float>() - Mini.InitStd) < allowed, $"{name}, {samples}");
        }
    }

    [Fact]
    public void Padding_on_the_left_changes_nothing()
    {
        using var scope = NewDisposeScope();
        using var model = Made(Mini with { InitStd = 0.2 });
        var tokens = randint(0, 272, [1, 5], int64);
        var padded = cat([zeros(1, 3, int64), tokens], 1);
        var real = cat([zeros(1, 3, @bool), ones(1, 5, @bool)], 1);
        using var cache = model.NewCache(1, 8);
        var whole = model.Forward(tokens, training: false).Logits;
        Assert.True(allclose(whole[TensorIndex.Colon, 4], model.Decode(padded, cache, real), rtol: 1e-3, atol: 1e-3));
    }

    [Fact]
    public void A_segment_sees_nothing_of_its_neighbour()
    {
        using var scope = NewDisposeScope();
        using var model = Made(Mini with { InitStd = 0.2 });
        var tokens = randint(0, 272, [1, 10], int64);
        var segments = tensor(new long[,] { { 1, 1, 1, 1, 2, 2, 2, 2, 2, 2 } });
        var packed = model.Forward(tokens, segments, training: false).Logits.narrow(1, 4, 6);
        var alone = model.Forward(tokens.narrow(1, 4, 6), training: false).Logits;
        Assert.True(allclose(packed, alone, rtol: 1e-3, atol: 1e-3));
    }

    [Fact]
    public void Every_token_reaches_its_number_of_experts_and_every_weight_gets_a_gradient()
    {
        using var scope = NewDisposeScope();
        using var model = Made(Mini with { MtpDepth = 2 });
        var output = model.Forward(randint(0, 272, [2, 16], int64));
        Assert.Equal(model.CorrectionBiases.Count, output.ExpertLoads.Count);
        Assert.Equal(2 * 16 * Mini.ActiveExperts, output.ExpertLoads[0].sum().item<float>());
        Assert.Equal(2 * 14 * Mini.ActiveExperts, output.ExpertLoads[^1].sum().item<float>());
        Assert.Equal([2L, 14, 272], output.MtpLogits[1].shape);
        (output.Logits.pow(2).mean() + output.MtpLogits[0].pow(2).mean() + output.MtpLogits[1].pow(2).mean()
            + output.BalanceLoss!).backward();
        Assert.All(model.Parameters, p => Assert.NotNull(p.Value.grad));
    }

    [Fact]
    public void The_balance_term_is_one_when_every_expert_gets_its_share()
    {
        using var scope = NewDisposeScope();
        var router = new Router(Mini, name => throw new KeyNotFoundException(name), "");
        var experts = (arange(64, dtype: int64).remainder(16)).view(16, 4);
        var choice = new RoutingChoice(experts, ones(16, 4), ones(16, 16));
        Assert.Equal(1, router.BalanceLoss(choice, 2).item<float>(), 5);
    }

    [Fact]
    public void The_correction_bias_moves_tokens_to_an_expert_and_leaves_their_gates_alone()
    {
        using var scope = NewDisposeScope();
        var weights = new Dictionary<string, Tensor> { ["weight"] = randn(16, 128), ["e_score_correction_bias"] = zeros(16) };
        var router = new Router(Mini with { RoutedScalingFactor = 1, NormTopkProb = false }, name => weights[name], "");
        weights["e_score_correction_bias"][5] = 10f;
        var choice = router.Choose(randn(20, 128));
        Assert.True((choice.Experts == 5).any(1).all().item<bool>());
        Assert.True((choice.Weights <= 1).all().item<bool>());
    }

    [Fact]
    public void The_loop_over_experts_and_the_grouped_product_agree()
    {
        using var scope = NewDisposeScope();
        // 96 + 4 is not a multiple of eight, so that model runs the loop; its further columns are zero.
        using var grouped = Made(Mini with { Layers = 2, MtpDepth = 0 });
        using var looped = Made(Mini with { Layers = 2, MtpDepth = 0, MoeIntermediateSize = 100, SharedExperts = 1 });
        using (no_grad())
        {
            var source = grouped.PublishedTensors().ToDictionary(t => t.Name, t => t.Value);
            foreach (var (name, target) in looped.PublishedTensors())
            {
                target.zero_();
                var window = target;
                for (var d = 0; d < target.dim(); d++)
                {
                    window = window.narrow(d, 0, source[name].shape[d]);
                }

                window.copy_(source[name]);
            }
        }

        var tokens = randint(0, 272, [2, 9], int64);
        Assert.True(allclose(grouped.Forward(tokens).Logits, looped.Forward(tokens).Logits, rtol: 1e-4, atol: 1e-5));
    }

    private static DeepSeekModel Made(ModelShape shape)
    {
        var model = new DeepSeekModel(shape, CPU);
        model.Initialise(7);
        return model;
    }
}
