using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Model;

[Collection(RandomNumbers.OneStream)]
public class MixedPrecisionTests : DrawingTests
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

        var plain = (x.index_select(0, order.div(active, RoundingMode.floor)) * factor).index_select(0, order.argsort()).view(-1, active, 8)
            .sum(1);
        plain.backward([seed]);
        CustomBackward.ThrowIfFailed();
        Assert.True(allclose(plain, gathered, rtol: 1e-5, atol: 1e-6));
        Assert.True(allclose(x.grad!, gradient, rtol: 1e-5, atol: 1e-6));
    }

    [Fact]
    public void Rows_of_some_choices_are_those_of_a_loop_gradients_included()
    {
        using var scope = NewDisposeScope();
        const int active = 3;
        var x = randn(20, 8).requires_grad_();
        var order = randperm(20 * active, int64).narrow(0, 0, 17);
        var seed = randn(20, 8);
        var rows = new ExpertRows(order, active, tokens: 20);
        rows.Collect(rows.Spread(x) * 2).backward([seed]);
        CustomBackward.ThrowIfFailed();
        var counts = zeros(20).index_add(0, order.div(active, RoundingMode.floor), ones(17), 1);
        Assert.True(allclose(seed * counts.unsqueeze(1) * 2, x.grad!, rtol: 1e-5, atol: 1e-6));
    }

    [Fact]
    public void A_token_has_one_row_for_each_rank_that_it_wants_by_rank_and_then_by_token()
    {
        using var scope = NewDisposeScope();
        var wanted = tensor(new[] { true, false, true, true, true, false, false, true, false }).view(3, 3);
        var rows = ExpertRows.ByRank(wanted, rows: 5);
        // Flattened choices are token · ranks + rank.
        Assert.Equal([0L, 3, 4, 7, 2], rows.Order.data<long>().ToArray());
        Assert.Equal([0f, 1, 1, 2, 0], rows.Spread(arange(3, float32).unsqueeze(1)).data<float>().ToArray());
        Assert.Equal([1f + 5, 2 + 3, 4], rows.Collect(arange(1, 6, float32).unsqueeze(1)).data<float>().ToArray());
    }

    [Theory]
    [InlineData(Precision.Fp32)]
    [InlineData(Precision.Bf16)]
    public void Gradients_need_nothing_that_went_with_the_scope_of_the_forward_pass(Precision precision)
    {
        using var scope = NewDisposeScope();
        using var model = Made(precision);
        var tokens = randint(0, 272, [2, 24], int64);
        Tensor loss;
        using (NewDisposeScope())
        {
            var output = model.Forward(tokens);
            loss = (output.Logits.to(float32).pow(2).mean() + output.BalanceLoss!).MoveToOuterDisposeScope();
        }
        loss.backward();
        CustomBackward.ThrowIfFailed();
        Assert.All(model.Trained.Where(w => !w.Name.Contains("layers.4", StringComparison.Ordinal)),
            w => Assert.True(w.Leaf.grad!.isfinite().all().item<bool>(), w.Name));
    }

    [Fact]
    public void A_bf16_model_agrees_with_the_float32_one_and_keeps_float32_masters()
    {
        using var scope = NewDisposeScope();
        using var exact = Made(Precision.Fp32);
        using var mixed = Made(Precision.Bf16);
        var tokens = randint(0, 272, [2, 24], int64);
        var (a, b) = (exact.Forward(tokens), mixed.Forward(tokens));
        Assert.Equal(ScalarType.BFloat16, b.Logits.dtype);
        // a rounded score may choose another expert
        Assert.InRange(((a.Logits - b.Logits.to(float32)).norm() / a.Logits.norm()).item<float>(), 1e-5, 0.1);
        (b.Logits.to(float32).pow(2).mean() + b.MtpLogits[0].to(float32).pow(2).mean() + b.BalanceLoss!).backward();
        CustomBackward.ThrowIfFailed();
        Assert.All(mixed.Trained, w => Assert.Equal(
            (float32, w.Name.EndsWith("mlp.gate.weight", StringComparison.Ordinal) ? float32 : ScalarType.BFloat16, true),
            (w.Master.dtype, w.Leaf.dtype, w.Leaf.grad is not null)));
        Assert.All(mixed.PublishedTensors(), t => Assert.Equal(float32, t.Value.dtype));
    }

    [Fact]
    public void Written_masters_are_rounded_before_the_next_pass_and_sampling_sees_them()
    {
        using var scope = NewDisposeScope();
        // All experts of all groups are chosen: a score that is rounded otherwise chooses no other one.
        using var model = new DeepSeekModel(Mini with { ActiveExperts = 16, LimitedGroups = 4 }, CPU, precision: Precision.Bf16);
        model.Initialise(7);
        var tokens = randint(0, 272, [1, 12], int64);
        var fresh = model.Forward(tokens, training: false).Logits;
        using var cache = model.NewCache(1, 16);
        Assert.True(allclose(fresh.select(1, 11), model.Decode(tokens, cache), rtol: 0.05, atol: 0.05));
        using (no_grad())
        {
            model.PublishedTensors().First().Value.mul_(2);
        }

        Assert.False(allclose(fresh, model.Forward(tokens, training: false).Logits));
    }

    [Fact]
    public void Micro_batches_add_up_in_float32()
    {
        using var scope = NewDisposeScope();
        var optimizer = new Optimizer { Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8, GradClip = 1 };
        using var learner = new Learner(Mini, optimizer, seed: 7, emaDecay: 0, CPU, Precision.Bf16);
        var tokens = randint(0, 272, [1, 24], int64);
        Tensor Loss() => learner.Model.Forward(tokens).Logits.to(float32).pow(2).mean();
        learner.Backward(Loss());
        var one = learner.Model.Trained.Where(w => w.Leaf.grad is not null).Sum(w => w.Leaf.grad!.to(float32).pow(2).sum().item<float>());
        for (var micro = 1; micro < 9; micro++)
        {
            learner.Backward(Loss());
        }

        // Nine times the same: bfloat16 sums would be off by a percent.
        Assert.Equal(9, learner.Update(1e-3).item<float>() / Math.Sqrt(one), 0.001);
        Assert.All(learner.Model.Trained, w => Assert.True(equal(w.Leaf, w.Master.to(w.Leaf.dtype)).all().item<bool>()));
    }

    [Theory]
    [InlineData("tpu", "Use cpu, cuda, cuda:N or auto")]
    [InlineData("cuda:x", "Use cpu, cuda, cuda:N or auto")]
    [InlineData("cuda:99", "")]
    public void A_device_that_is_not_there_is_refused_in_words(string text, string says) =>
        Assert.Contains(says, Assert.Throws<InvalidDataException>(() => ComputeDevice.Parse(text, "The plan's device")).Message,
            StringComparison.Ordinal);

    private static DeepSeekModel Made(Precision precision)
    {
        var model = new DeepSeekModel(Mini, CPU, precision: precision);
        model.Initialise(7);
        return model;
    }
}
