using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace DeepSeekOps.Worker.Tests.Model;

/// <summary>A backward pass that leaves the gradients of its products' weights, and those gradients made later.</summary>
[Collection(RandomNumbers.OneStream)]
public sealed class LaterGradientsTests : DrawingTests
{
    private static readonly ModelShape Shape = ModelShapes.Presets["mini"] with { TiedEmbeddings = true, MtpDepth = 1 };

    [Theory]
    [InlineData(Precision.Fp32, 1e-6)]
    [InlineData(Precision.Bf16, 2e-2)]
    [InlineData(Precision.Fp8, 1e-6)]
    public void Gradients_made_later_are_those_made_at_once(Precision precision, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var plain = Made(precision, PipelineSchedule.OneForwardOneBackward);
        using var split = Made(precision, PipelineSchedule.ZeroBubble);
        // Two passes, so that what is made later is added to what is there.
        for (var pass = 0; pass < 2; pass++)
        {
            var tokens = randint(0, Shape.VocabSize, [2, 12], int64);
            Loss(plain, tokens).backward();
            split.Later!.Leaves = true;
            Loss(split, tokens).backward();
            split.Later.Leaves = false;
            var left = split.Later.Take();
            Assert.Equal(pass == 0, Gradient(split, "model.layers.0.self_attn.o_proj.weight") is null);
            left.Make();
        }
        CustomBackward.ThrowIfFailed();
        Assert.All(plain.Trained.Zip(split.Trained), pair =>
        {
            var (expected, actual) = (pair.First.Leaf.grad!.to(float32), pair.Second.Leaf.grad!.to(float32));
            Assert.True((expected - actual).norm().item<float>() <= tolerance * (expected.norm().item<float>() + 1e-12), pair.First.Name);
        });
    }

    [Fact]
    public void A_pass_that_leaves_nothing_makes_all_gradients_at_once()
    {
        using var scope = NewDisposeScope();
        using var split = Made(Precision.Fp32, PipelineSchedule.DualPipe);
        Loss(split, randint(0, Shape.VocabSize, [1, 8], int64)).backward();
        Assert.NotNull(Gradient(split, "model.layers.0.self_attn.o_proj.weight"));
        split.Later!.Take().Make();
    }

    /// <summary>What is kept for later lives outside of scopes, and goes when the gradients are made.</summary>
    [Fact]
    public void Nothing_is_left_behind_over_many_passes()
    {
        using var scope = NewDisposeScope();
        using var split = Made(Precision.Fp32, PipelineSchedule.ZeroBubble);
        var tokens = randint(0, Shape.VocabSize, [1, 8], int64);
        var live = new List<long>();
        for (var pass = 0; pass < 20; pass++)
        {
            using var ofPass = NewDisposeScope();
            split.Later!.Leaves = true;
            Loss(split, tokens).backward();
            split.Later.Leaves = false;
            split.Later.Take().Make();
            live.Add(DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        }
        Assert.Equal(live[4], live[^1]);
    }

    private static DeepSeekModel Made(Precision precision, PipelineSchedule schedule)
    {
        var model = new DeepSeekModel(
            Shape, CPU, precision: precision, part: ModelPart.Whole(Shape) with { Schedule = schedule });
        model.Initialise(3);
        return model;
    }

    private static Tensor Loss(DeepSeekModel model, Tensor tokens)
    {
        var output = model.Forward(tokens);
        var labels = tokens.roll(-1, 1).flatten();
        return cross_entropy(output.Logits.to(float32).flatten(0, 1), labels) + output.BalanceLoss!
            + output.MtpLogits[0].to(float32).square().mean();
    }

    private static Tensor? Gradient(DeepSeekModel model, string name) => model.Trained.First(t => t.Name == name).Leaf.grad;
}
