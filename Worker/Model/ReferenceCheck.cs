using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace DeepSeekOps.Worker.Model;

/// <summary>Largest deviations from a reference: logits, loss and AdamW losses absolute, gradient norms relative.</summary>
public sealed record ReferenceDeviations(double Logits, double Loss, double GradNorms, double AdamwLosses)
{
    public const double LogitsTolerance = 1e-4;
    public const double LossTolerance = 1e-5;
    public const double GradNormsTolerance = 1e-3;
    public const double AdamwLossesTolerance = 1e-4;

    public bool Passed =>
        Logits <= LogitsTolerance && Loss <= LossTolerance && GradNorms <= GradNormsTolerance && AdamwLosses <= AdamwLossesTolerance;
}

/// <summary>
/// Compares a model folder with what another implementation computed from it: expected.safetensors (input_ids, logits),
/// expected.json (loss, grad_norms, adamw) and batches.safetensors (batches [steps, batch, seq]).
/// </summary>
public static class ReferenceCheck
{
    public static ReferenceDeviations Run(string folder)
    {
        LibtorchLoading.Require();
        using var scope = NewDisposeScope();
        using var reference = ReferenceNumbers.Open(folder);
        using var model = ModelFolder.Load(folder, CPU, reference.Positions, reference.WithMtp);
        reference.Check(model.Shape);
        var logits = model.Forward(reference.Tokens, training: false).Logits;
        var loss = NextTokenLoss(logits, reference.Tokens);
        loss.backward();
        return new ReferenceDeviations(
            (logits.detach() - reference.Logits()).abs().max().item<float>(),
            Math.Abs(loss.item<float>() - reference.Expected.Loss),
            LargestNormError(model, reference.Expected.GradNorms, folder),
            LargestLossError(model, reference.Expected.Adamw, reference.Batches));
    }

    private static double LargestNormError(DeepSeekModel model, Dictionary<string, double> expected, string folder)
    {
        var parameters = model.Parameters.ToDictionary(p => p.Name, p => p.Value);
        if (parameters.Keys.Except(expected.Keys).Concat(expected.Keys.Except(parameters.Keys)).FirstOrDefault() is { } odd)
        {
            throw new CheckpointFormatException(
                $"{folder}: {odd} is only in one of config.json's model and expected.json's grad_norms.");
        }

        return expected.Max(e => RelativeError(parameters[e.Key].grad?.norm().item<float>() ?? 0, e.Value));
    }

    private static double LargestLossError(DeepSeekModel model, ExpectedAdamw adamw, Tensor batches)
    {
        Tensor[] weights = [.. model.Parameters.Select(p => p.Value)];
        Tensor[] first = [.. weights.Select(w => zeros_like(w))];
        Tensor[] second = [.. weights.Select(w => zeros_like(w))];
        Tensor[] steps = [.. weights.Select(_ => zeros(1).squeeze())];
        var largest = 0.0;
        for (var step = 0; step < adamw.Losses.Length; step++)
        {
            using var scope = NewDisposeScope();
            foreach (var weight in weights)
            {
                weight.grad?.zero_();
            }

            var loss = NextTokenLoss(model.Forward(batches[step], training: false).Logits, batches[step]);
            loss.backward();
            largest = Math.Max(largest, NotNan(Math.Abs(loss.item<float>() - adamw.Losses[step])));
            Step(step + 1);
        }

        return largest;

        void Step(int number)
        {
            using var noGrad = no_grad();
            Tensor[] gradients = [.. weights.Select(w => w.grad ?? zeros_like(w))];
            var norm = stack(gradients.Select(g => g.norm())).norm();
            Operators.ForeachMul(gradients, (adamw.Clip / (norm + 1e-6)).clamp(max: 1.0));
            foreach (var count in steps)
            {
                count.fill_(number);
            }

            Operators.FusedAdamW(weights, gradients, first, second, steps, adamw.Lr, adamw.Betas[0], adamw.Betas[1], adamw.WeightDecay,
                adamw.Eps);
        }
    }

    /// <summary>Mean over all places but the last. logits [rows, seq, vocab], tokens [rows, seq].</summary>
    public static Tensor NextTokenLoss(Tensor logits, Tensor tokens)
    {
        var last = tokens.shape[1] - 1;
        return cross_entropy(logits.narrow(1, 0, last).flatten(0, 1), tokens.narrow(1, 1, last).flatten());
    }

    // A gradient that is exactly zero (an expert nobody chose) has no relative error: there the absolute one counts.
    public static double RelativeError(double actual, double expected) =>
        NotNan(Math.Abs(actual - expected) / (expected == 0 ? 1 : Math.Abs(expected)));

    public static double NotNan(double deviation) => double.IsNaN(deviation) ? double.PositiveInfinity : deviation;
}
