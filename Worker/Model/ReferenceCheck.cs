using System.Text.Json;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Safetensors;
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

    public bool Passed => Logits <= LogitsTolerance && Loss <= LossTolerance && GradNorms <= GradNormsTolerance && AdamwLosses <= AdamwLossesTolerance;
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
        var expected = Expected(Path.Combine(folder, "expected.json"));
        using var scope = NewDisposeScope();
        using var tensors = Opened(folder, "expected.safetensors");
        using var file = Opened(folder, "batches.safetensors");
        var tokens = Ids(tensors, "input_ids", dimensions: 2);
        var batches = Ids(file, "batches", dimensions: 3);
        var withMtp = expected.GradNorms.Keys.Any(name => name.EndsWith("eh_proj.weight", StringComparison.Ordinal));
        using var model = ModelFolder.Load(folder, CPU, (int)Math.Max(tokens.shape[^1], batches.shape[^1]), withMtp);
        Within(model.Shape.VocabSize, tokens, tensors, "input_ids");
        Within(model.Shape.VocabSize, batches, file, "batches");
        long[] wanted = [.. tokens.shape, model.Shape.VocabSize];
        if (!tensors["logits"].Shape.AsSpan().SequenceEqual(wanted))
        {
            throw new CheckpointFormatException($"{tensors.Path}: logits is {Text(tensors["logits"].Shape)}; input_ids and config.json's vocab_size make it {Text(wanted)}.");
        }

        var logits = model.Forward(tokens, training: false).Logits;
        var loss = NextTokenLoss(logits, tokens);
        loss.backward();
        return new ReferenceDeviations(
            (logits.detach() - tensors.Read("logits")).abs().max().item<float>(),
            Math.Abs(loss.item<float>() - expected.Loss),
            LargestNormError(model, expected.GradNorms, folder),
            LargestLossError(model, expected.Adamw, batches, folder));
    }

    private static SafetensorsFile Opened(string folder, string name)
    {
        var path = Path.Combine(folder, name);
        return File.Exists(path) ? SafetensorsFile.Open(path)
            : throw new CheckpointFormatException($"{path} is missing. A folder to check holds config.json, safetensors, expected.json, "
                + "expected.safetensors (input_ids, logits) and batches.safetensors (batches).");
    }

    /// <summary>Token ids as int64; sequences of two at least, since the loss is that of the next token.</summary>
    private static Tensor Ids(SafetensorsFile file, string name, int dimensions)
    {
        var shape = file[name].Shape;
        return shape.Length == dimensions && shape[^1] >= 2 && shape.All(s => s > 0) ? file.Read(name).to(int64)
            : throw new CheckpointFormatException($"{file.Path}: {name} is {Text(shape)}; "
                + $"{(dimensions == 2 ? "[batch, sequence]" : "[steps, batch, sequence]")} with two tokens a sequence or more is wanted.");
    }

    private static void Within(int vocabulary, Tensor ids, SafetensorsFile file, string name)
    {
        var (least, most) = (ids.min().item<long>(), ids.max().item<long>());
        if (least < 0 || most >= vocabulary)
        {
            throw new CheckpointFormatException($"{file.Path}: {name} has token {(least < 0 ? least : most)}; config.json's vocab_size allows 0 to {vocabulary - 1}.");
        }
    }

    private static string Text(long[] shape) => $"[{string.Join(", ", shape)}]";

    private static double LargestNormError(DeepSeekModel model, Dictionary<string, double> expected, string folder)
    {
        var parameters = model.Parameters.ToDictionary(p => p.Name, p => p.Value);
        if (parameters.Keys.Except(expected.Keys).Concat(expected.Keys.Except(parameters.Keys)).FirstOrDefault() is { } odd)
        {
            throw new CheckpointFormatException($"{folder}: {odd} stands only in one of config.json's model and expected.json's grad_norms.");
        }

        return expected.Max(e => RelativeError(parameters[e.Key].grad?.norm().item<float>() ?? 0, e.Value));
    }

    private static double LargestLossError(DeepSeekModel model, ExpectedAdamw adamw, Tensor batches, string folder)
    {
        if (adamw.Betas.Length != 2)
        {
            throw new CheckpointFormatException($"{folder}: expected.json's adamw has {adamw.Betas.Length} betas; two are wanted.");
        }

        if (batches.shape[0] != adamw.Losses.Length)
        {
            throw new CheckpointFormatException($"{folder}: batches.safetensors has {batches.shape[0]} batches, "
                + $"expected.json {adamw.Losses.Length} losses: make both from one run.");
        }

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

            Operators.FusedAdamW(weights, gradients, first, second, steps, adamw.Lr, adamw.Betas[0], adamw.Betas[1], adamw.WeightDecay, adamw.Eps);
        }
    }

    private static Tensor NextTokenLoss(Tensor logits, Tensor tokens)
    {
        var last = tokens.shape[1] - 1;
        return cross_entropy(logits.narrow(1, 0, last).flatten(0, 1), tokens.narrow(1, 1, last).flatten());
    }

    // A gradient that is exactly zero (an expert nobody chose) has no relative error: there the absolute one counts.
    private static double RelativeError(double actual, double expected) =>
        NotNan(Math.Abs(actual - expected) / (expected == 0 ? 1 : Math.Abs(expected)));

    private static double NotNan(double deviation) => double.IsNaN(deviation) ? double.PositiveInfinity : deviation;

    private static ExpectedNumbers Expected(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<ExpectedNumbers>(File.ReadAllText(path), Options)
                ?? throw new CheckpointFormatException($"{path}: it is null; loss, grad_norms and adamw are wanted.");
        }
        catch (Exception e) when (e is JsonException or FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CheckpointFormatException($"{path}: {e.Message} loss, grad_norms and adamw are wanted there.");
        }
    }

    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true,
    };

    private sealed record ExpectedNumbers(double Loss, Dictionary<string, double> GradNorms, ExpectedAdamw Adamw);

    private sealed record ExpectedAdamw(double Lr, double[] Betas, double Eps, double WeightDecay, double Clip, double[] Losses);
}
