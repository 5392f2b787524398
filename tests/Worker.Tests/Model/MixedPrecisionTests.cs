using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Model;

[Collection(RandomNumbers.OneStream)]
public class MixedPrecisionTests
{
    private static ModelShape Mini => ModelShapes.Presets["mini"];

    [Fact]
    public void Rows_go_to_their_experts_and_back_as_index_select_moves_them_gradients_included()
    {
        using var scope = NewDisposeScope();
        const int active = 3;
        var x = randn(20, 8).requires_grad_();
        var order = randint(0, 5, [20 * active], int64).argsort();
        var factor = randn(20 * active, 1);
        var seed = randn(20, 8);
        var rows = new ExpertRows(order, active);
        var gathered = rows.Collect(rows.Spread(x) * factor);
        gathered.backward([seed]);
        var gradient = x.grad!.clone();
        x.grad.zero_();

        var plain = (x.index_select(0, order.div(active, RoundingMode.floor)) * factor).index_select(0, order.argsort()).view(-1, active, 8).sum(1);
        plain.backward([seed]);
        CustomBackward.ThrowIfFailed();
        Assert.True(allclose(plain, gathered, rtol: 1e-5, atol: 1e-6));
        Assert.True(allclose(x.grad!, gradient, rtol: 1e-5, atol: 1e-6));
    }

    [Fact]
    public void A_bf16_model_agrees_with_the_float32_one_and_its_gradients_arrive_in_float32()
    {
        using var scope = NewDisposeScope();
        using var exact = Made(Precision.Fp32);
        using var mixed = Made(Precision.Bf16);
        var tokens = randint(0, 272, [2, 24], int64);
        var (a, b) = (exact.Forward(tokens), mixed.Forward(tokens));
        Assert.Equal(ScalarType.BFloat16, b.Logits.dtype);
        Assert.InRange(((a.Logits - b.Logits.to(float32)).norm() / a.Logits.norm()).item<float>(), 1e-5, 0.1); // a rounded score may choose another expert
        (b.Logits.to(float32).pow(2).mean() + b.MtpLogits[0].to(float32).pow(2).mean() + b.BalanceLoss!).backward();
        CustomBackward.ThrowIfFailed();
        Assert.All(mixed.Parameters, p => Assert.Equal(float32, p.Value.grad!.dtype));
        Assert.All(mixed.PublishedTensors(), t => Assert.Equal(float32, t.Value.dtype));
    }

    [Fact]
    public void Weights_rounded_once_for_sampling_give_the_same_logits_and_give_way_to_trained_ones()
    {
        using var scope = NewDisposeScope();
        using var model = Made(Precision.Bf16);
        var tokens = randint(0, 272, [1, 12], int64);
        var fresh = model.Forward(tokens, training: false).Logits;
        using (model.HoldWeights())
        {
            Assert.True(equal(fresh, model.Forward(tokens, training: false).Logits).all().item<bool>());
            using var cache = model.NewCache(1, 16);
            Assert.True(allclose(fresh.select(1, 11), model.Decode(tokens, cache), rtol: 0.05, atol: 0.02));
        }

        using (no_grad())
        {
            model.Parameters.First().Value.mul_(2);
        }

        Assert.False(equal(fresh, model.Forward(tokens, training: false).Logits).all().item<bool>());
    }

    [Theory]
    [InlineData("tpu", "Use cpu, cuda, cuda:N or auto")]
    [InlineData("cuda:x", "Use cpu, cuda, cuda:N or auto")]
    [InlineData("cuda:99", "")]
    public void A_device_that_is_not_there_is_refused_in_words(string text, string says) =>
        Assert.Contains(says, Assert.Throws<InvalidDataException>(() => ComputeDevice.Parse(text, "The plan's device")).Message, StringComparison.Ordinal);

    private static DeepSeekModel Made(Precision precision)
    {
        var model = new DeepSeekModel(Mini, CPU, precision: precision);
        model.Initialise(7);
        return model;
    }
}
