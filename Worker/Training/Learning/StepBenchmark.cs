using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Learning;

/// <summary>What a benchmark measured.</summary>
/// <param name="StepSeconds">Median of the timed steps, each waited for.</param>
/// <param name="Mfu">Against <paramref name="PeakTflops"/>; null where no peak is known.</param>
public sealed record StepFigures(
    string Model, string Precision, string Moments, string Device, long Parameters, int Batch, int SequenceLength,
    double StepSeconds, double FastestSeconds, double TokensPerSecond, double Tflops, double? PeakTflops, double? Mfu, double FirstLoss,
    double LastLoss);

/// <summary>Whole training steps (forward, loss, backward, clipping, AdamW, balance) of a model on random tokens that repeat.</summary>
public sealed class StepBenchmark(ModelShape shape, Device device, TimeProvider clock)
{
    private const int WarmUpSteps = 3;

    /// <summary>V3 in 2.6 billion parameters, which train on one GPU of 80 GB.</summary>
    public static ModelShape OneGpu { get; } = ModelShapes.Presets["v3"] with
    {
        VocabSize = 32768,
        HiddenSize = 2048,
        Layers = 12,
        DenseLayers = 1,
        IntermediateSize = 5632,
        MoeIntermediateSize = 1024,
        Heads = 16,
        QLoraRank = 768,
        RoutedExperts = 32,
        ActiveExperts = 4,
        Groups = 4,
        LimitedGroups = 2,
        MtpDepth = 0,
    };

    public StepFigures Measure(string name, Precision precision, bool bf16Moments, int batch, int sequenceLength, int steps,
        double? peakTflops)
    {
        var optimizer = new Optimizer
        {
            Beta1 = 0.9,
            Beta2 = 0.95,
            Epsilon = 1e-8,
            WeightDecay = 0.1,
            GradClip = 1,
            Bf16Moments = bf16Moments,
        };
        using var outer = NewDisposeScope();
        using var learner = new Learner(shape, optimizer, seed: 1, emaDecay: 0, device, precision);
        random.manual_seed(1);
        var ids = randint(0, shape.VocabSize, [batch, sequenceLength + 1], int64).to(device);
        var seconds = new List<double>();
        var losses = new List<double>();
        for (var step = -WarmUpSteps; step < steps; step++)
        {
            var began = clock.GetTimestamp();
            losses.Add(Step(learner, ids));
            if (step >= 0)
            {
                seconds.Add(clock.GetElapsedTime(began).TotalSeconds);
            }
        }

        seconds.Sort();
        var median = seconds[seconds.Count / 2];
        var tokens = (double)batch * sequenceLength;
        var tflops = tokens * FlopsPerToken(shape, sequenceLength) / median / 1e12;
        return new StepFigures(
            name, precision.ToString().ToLowerInvariant(), bf16Moments ? "bf16" : "fp32", device.ToString(), WeightShapes.Count(shape),
            batch, sequenceLength,
            median, seconds[0], tokens / median, tflops, peakTflops, tflops / peakTflops, losses[0], losses[^1]);
    }

    /// <summary>
    /// 6 per active weight of a product, and causal attention at half its square; recomputation and MTP count as nothing.
    /// </summary>
    public static double FlopsPerToken(ModelShape shape, int sequenceLength)
    {
        double hidden = shape.HiddenSize, heads = shape.Heads;
        var queries = shape.QLoraRank == 0
            ? hidden * heads * shape.QkHeadDim
            : (hidden * shape.QLoraRank) + (shape.QLoraRank * heads * shape.QkHeadDim);
        var attention = queries + (hidden * (shape.KvLoraRank + shape.QkRopeHeadDim))
            + (shape.KvLoraRank * heads * (shape.QkNopeHeadDim + shape.VHeadDim)) + (heads * shape.VHeadDim * hidden)
            + (heads * (shape.QkHeadDim + shape.VHeadDim) * sequenceLength / 2);
        var moe = (3 * hidden * shape.MoeIntermediateSize * (shape.ActiveExperts + shape.SharedExperts)) + (hidden * shape.RoutedExperts);
        return 6 * ((shape.Layers * attention) + (shape.DenseLayers * 3 * hidden * shape.IntermediateSize)
            + ((shape.Layers - shape.DenseLayers) * moe) + (hidden * shape.VocabSize));
    }

    private static double Step(Learner learner, Tensor ids)
    {
        using var scope = NewDisposeScope();
        var length = ids.shape[1] - 1;
        var labels = ids.narrow(1, 1, length);
        var output = learner.Model.Forward(ids.narrow(1, 0, length));
        var loss = Losses.CrossEntropy(output.Logits, labels);
        var total = loss;
        if (Losses.MultiToken(output, labels) is { } multiToken)
        {
            total = total + (0.3 * multiToken);
        }

        if (output.BalanceLoss is { } balance)
        {
            total = total + (1e-4 * balance);
        }

        learner.Backward(total);
        learner.Update(1e-4);
        learner.Balance(output.ExpertLoads, 0.001);
        return loss.ToDouble(); // waits for the device
    }
}
