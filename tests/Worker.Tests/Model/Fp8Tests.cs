using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace DeepSeekOps.Worker.Tests.Model;

[Collection(RandomNumbers.OneStream)]
public class Fp8Tests : DrawingTests
{
    [Fact]
    public void Powers_of_two_times_the_tiles_scale_survive_and_a_zero_tile_stays_zero()
    {
        using var scope = NewDisposeScope();
        var values = cat([full(1, 128, 448.0f) / 8, zeros(1, 128)], 0);
        values[0, 3] = 14f;
        var (quantised, scales) = Fp8.Quantise(values, 1);
        Assert.True(allclose(quantised * scales, values, rtol: 0, atol: 0));
    }

    [Fact]
    public void Rounding_is_e4m3s_own_at_most_one_part_in_sixteen()
    {
        using var scope = NewDisposeScope();
        var values = rand(64, 300) + 0.5;
        var (quantised, scales) = Fp8.Quantise(values, 1);
        var back = quantised * scales.repeat_interleave(128, 1).narrow(1, 0, 300);
        Assert.InRange(((back - values) / values).abs().max().item<float>(), 1e-4, 1 / 16.0);
    }

    [Fact]
    public void An_outlier_spoils_its_own_tile_only_so_coarser_tiles_are_worse()
    {
        using var scope = NewDisposeScope();
        var values = randn(128, 256) * 0.01;
        values[5, 7] = 500f;
        Assert.True(Error(1, 128) < Error(128, 128));
        Assert.True(Error(128, 128) < Error(128, 256));

        double Error(int rows, int columns)
        {
            var (quantised, scales) = Fp8.Quantise(values, rows, columns);
            return (quantised * scales.repeat_interleave(columns, 1) - values).pow(2).mean().item<float>();
        }
    }

    [Theory]
    [InlineData(64, 256, 128)]
    [InlineData(7, 200, 130)]
    public void All_three_products_come_near_the_exact_ones(int tokens, int input, int output)
    {
        using var scope = NewDisposeScope();
        var (x, weight, grad) = (randn(tokens, input).requires_grad_(), randn(output, input).requires_grad_(), randn(tokens, output));
        var y = Fp8Linear.Forward(x, weight);
        y.backward([grad]);
        CustomBackward.ThrowIfFailed();
        Near(y, x.mm(weight.t()));
        Near(x.grad!, grad.mm(weight));
        Near(weight.grad!, grad.t().mm(x));

        static void Near(Tensor actual, Tensor exact) =>
            Assert.InRange(((actual - exact).norm() / exact.norm()).item<float>(), 1e-3, 0.06);
    }

    // The report's quarter of a percent (section 3.3) is on smoothed losses of long runs. Here thirty steps on fresh data, the mean of the
    // last ten: by seed -0.34, +0.39, +0.30 and +0.60 % were measured, so the mean over four seeds scatters by 0.2 %. Kernels on a GPU are
    // held to a quarter of a percent after 200 steps (CudaKernelTests).
    [Fact]
    public void Training_in_fp8_follows_bf16_within_half_a_percent_over_four_seeds()
    {
        var deviations = new List<double>();
        foreach (int seed in (int[])[3, 4, 5, 6])
        {
            var exact = Losses(Precision.Bf16, seed);
            var rounded = Losses(Precision.Fp8, seed);
            Assert.True(exact[^1] < exact[0] - 0.5, $"nothing was learned ({exact[0]} to {exact[^1]}), so nothing was compared");
            Assert.NotEqual(exact[^1], rounded[^1]);
            var (mean, meanFp8) = (exact.TakeLast(10).Average(), rounded.TakeLast(10).Average());
            deviations.Add((meanFp8 - mean) / mean);
        }

        Assert.InRange(Math.Abs(deviations.Average()), 0, 0.005);
    }

    // The report's ablation (appendix B.2): activation gradients in 128 x 128 blocks diverge, since outliers belong to tokens.
    [Fact]
    public void Coarser_blocks_lose_more_of_the_gradients_that_training_meets()
    {
        using var scope = NewDisposeScope();
        using var learner = new Learner(ModelShapes.Presets["mini-student"], new Optimizer { Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8 },
            seed: 3, emaDecay: 0, CPU);
        var random = new Random(5);
        Tensor? gradient = null;
        for (var step = 0; step < 30; step++)
        {
            var tokens = Batch(random);
            var logits = learner.Model.Forward(tokens.narrow(1, 0, 32), training: false).Logits;
            logits.retain_grad();
            learner.Backward(cross_entropy(logits.flatten(0, 1), tokens.narrow(1, 1, 32).flatten()));
            gradient = logits.grad!.flatten(0, 1); // [tokens, vocabulary]
            learner.Update(1e-3);
        }

        Assert.True(Lost(128) > 1.1 * Lost(1), $"128 rows a tile lose {Lost(128)} of a row, one loses {Lost(1)}");

        // The mean over tokens of the relative error of a token's gradient.
        float Lost(int rowsPerTile)
        {
            var (quantised, scales) = Fp8.Quantise(gradient!, rowsPerTile);
            var exact = gradient!;
            var back = quantised * scales.repeat_interleave(Fp8.Block, 1).narrow(1, 0, exact.shape[1]);
            return ((back - exact).norm(1) / exact.norm(1)).mean().item<float>();
        }
    }

    [Fact]
    public void Training_in_bf16_with_float32_masters_follows_full_precision_within_half_a_percent()
    {
        var exact = Losses(Precision.Fp32);
        var rounded = Losses(Precision.Bf16);
        Assert.NotEqual(exact[^1], rounded[^1]);
        var (mean, meanBf16) = (exact.TakeLast(10).Average(), rounded.TakeLast(10).Average());
        Assert.InRange(Math.Abs(meanBf16 - mean) / mean, 0, 0.005);
    }

    /// <summary>Losses of AdamW on a noisy rule: the next token is 3 t + 1 modulo 40, in nine of ten places.</summary>
    private static List<float> Losses(Precision precision, int seed = 3)
    {
        using var scope = NewDisposeScope();
        var optimizer = new Optimizer { Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8, WeightDecay = 0.1 };
        using var learner = new Learner(ModelShapes.Presets["mini-student"] with { MtpDepth = 0 }, optimizer, seed: seed, emaDecay: 0, CPU,
            precision);
        var random = new Random(5);
        var losses = new List<float>();
        for (var step = 1; step <= 30; step++)
        {
            using var inner = NewDisposeScope();
            var tokens = Batch(random);
            var logits = learner.Model.Forward(tokens.narrow(1, 0, 32), training: false).Logits;
            var loss = cross_entropy(logits.to(float32).flatten(0, 1), tokens.narrow(1, 1, 32).flatten());
            learner.Backward(loss);
            losses.Add(loss.item<float>());
            learner.Update(1e-3);
        }

        return losses;
    }

    private static Tensor Batch(Random random)
    {
        var tokens = new long[8, 33];
        for (var row = 0; row < 8; row++)
        {
            tokens[row, 0] = random.Next(40);
            for (var place = 1; place < 33; place++)
            {
                tokens[row, place] = random.Next(10) == 0 ? random.Next(40) : ((3 * tokens[row, place - 1]) + 1) % 40;
            }
        }

        return tensor(tokens);
    }
}
