using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Libtorch;

[Collection(RandomNumbers.OneStream)]
public class OperatorsTests : DrawingTests
{
    [Fact]
    public void Libtorch_loads_and_says_where_it_came_from()
    {
        LibtorchLoading.Require();
        Assert.NotEqual(0, torch.ones(3).sum().item<float>());
        Assert.True(!OperatingSystem.IsLinux() || Directory.Exists(LibtorchLoading.Folder));
    }

    [Fact]
    public void Rms_norm_agrees_with_its_formula_and_has_a_gradient()
    {
        using var scope = NewDisposeScope();
        var x = randn(4, 8).requires_grad_();
        var weight = rand(8).requires_grad_();
        var y = Operators.RmsNorm(x, weight, 1e-6);
        var formula = x * (x.pow(2).mean([-1], keepdim: true) + 1e-6).rsqrt() * weight;
        Assert.True(allclose(y, formula, atol: 1e-6));
        y.sum().backward();
        Assert.NotNull(weight.grad);
    }

    [Fact]
    public void Grouped_mm_is_a_product_per_group_with_empty_groups_and_gradients()
    {
        using var scope = NewDisposeScope();
        var x = randn(6, 16).requires_grad_();
        var weight = randn(3, 16, 32).requires_grad_();
        var y = Operators.GroupedMm(x, weight, tensor(new[] { 2, 2, 6 }, ScalarType.Int32));
        var expected = cat([x[..2].mm(weight[0]), x[2..].mm(weight[2])]);
        Assert.True(allclose(y, expected, atol: 1e-5));
        y.pow(2).sum().backward();
        var viaGrouped = weight.grad!.clone();
        weight.grad!.zero_();
        expected.pow(2).sum().backward();
        Assert.True(allclose(viaGrouped, weight.grad!, rtol: 1e-4, atol: 1e-4));
    }

    [Fact]
    public void Attention_takes_a_scale_and_different_value_width()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = (randn(2, 3, 5, 8), randn(2, 3, 5, 8), randn(2, 3, 5, 4));
        var y = Operators.Attention(q, k, v, null, causal: true, scale: 0.5);
        var scores = (q.matmul(k.transpose(-2, -1)) * 0.5).masked_fill(ones(5, 5).tril().eq(0), float.NegativeInfinity);
        Assert.True(allclose(y, scores.softmax(-1).matmul(v), atol: 1e-5));
    }

    [Fact]
    public void Fused_adamw_agrees_with_the_formula()
    {
        using var scope = NewDisposeScope();
        var weight = full(3, 2.0f);
        var (first, second, steps) = (zeros(3), zeros(3), ones(1).squeeze());
        Operators.FusedAdamW([weight], [ones(3)], [first], [second], [steps], 0.1, 0.9, 0.95, 0.1, 1e-8);
        Assert.Equal((2.0 * (1 - 0.01)) - 0.1, weight[0].item<float>(), 5);
        Assert.Equal(0.1, first[0].item<float>(), 6);
    }

    [Fact]
    public void An_operator_that_refuses_its_arguments_throws_and_the_process_goes_on()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<InvalidOperationException>(() => Operators.Embedding(randn(3, 2), randn(2)));
        Assert.Equal(2, Operators.Embedding(randn(3, 2), tensor(new long[] { 1 })).shape[1]);
    }
}
