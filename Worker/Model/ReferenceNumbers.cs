using System.Text.Json;
using DeepSeekOps.Worker.Safetensors;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Model;

/// <summary>expected.json: the loss, the norm of each weight's gradient, and the losses of some AdamW steps.</summary>
public sealed record ExpectedNumbers(double Loss, Dictionary<string, double> GradNorms, ExpectedAdamw Adamw);

public sealed record ExpectedAdamw(double Lr, double[] Betas, double Eps, double WeightDecay, double Clip, double[] Losses);

/// <summary>What another implementation computed from a model folder, read and looked over.</summary>
public sealed class ReferenceNumbers : IDisposable
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
    };

    private readonly SafetensorsFile _tensors;
    private readonly SafetensorsFile _batches;

    private ReferenceNumbers(ExpectedNumbers expected, SafetensorsFile tensors, SafetensorsFile batches)
    {
        (Expected, _tensors, _batches) = (expected, tensors, batches);
        Tokens = Ids(tensors, "input_ids", dimensions: 2);
        Batches = Ids(batches, "batches", dimensions: 3);
    }

    public ExpectedNumbers Expected { get; }

    /// <summary>[batch, seq] int64.</summary>
    public Tensor Tokens { get; }

    /// <summary>[steps, batch, seq] int64.</summary>
    public Tensor Batches { get; }

    public int Positions => (int)Math.Max(Tokens.shape[^1], Batches.shape[^1]);

    /// <summary>The modules that predict further tokens were part of it.</summary>
    public bool WithMtp => Expected.GradNorms.Keys.Any(name => name.EndsWith("eh_proj.weight", StringComparison.Ordinal));

    /// <summary>[batch, seq, vocab].</summary>
    public Tensor Logits() => _tensors.Read("logits");

    /// <exception cref="CheckpointFormatException">A file is missing, or is not what it should be.</exception>
    public static ReferenceNumbers Open(string folder)
    {
        var expected = ReadExpected(folder);
        var tensors = Opened(folder, "expected.safetensors");
        var reference = new ReferenceNumbers(expected, tensors, Opened(folder, "batches.safetensors"));
        if (expected.Adamw.Betas.Length != 2)
        {
            throw new CheckpointFormatException(
                $"{folder}: expected.json's adamw has {expected.Adamw.Betas.Length} betas; two are wanted.");
        }

        if (reference.Batches.shape[0] != expected.Adamw.Losses.Length)
        {
            throw new CheckpointFormatException(
                $"{folder}: batches.safetensors has {reference.Batches.shape[0]} batches, "
                + $"expected.json {expected.Adamw.Losses.Length} losses: make both from one run.");
        }

        return reference;
    }

    /// <exception cref="CheckpointFormatException">The numbers are not of a model of that shape.</exception>
    public void Check(ModelShape shape)
    {
        Within(shape.VocabSize, Tokens, _tensors, "input_ids");
        Within(shape.VocabSize, Batches, _batches, "batches");
        long[] wanted = [.. Tokens.shape, shape.VocabSize];
        if (!_tensors["logits"].Shape.AsSpan().SequenceEqual(wanted))
        {
            throw new CheckpointFormatException($"{_tensors.Path}: logits is {Text(_tensors["logits"].Shape)}; input_ids and config.json's "
                + $"vocab_size make it {Text(wanted)}.");
        }
    }

    /// <inheritdoc cref="Open"/>
    public static ExpectedNumbers ReadExpected(string folder) => Read(Path.Combine(folder, "expected.json"));

    public void Dispose()
    {
        _tensors.Dispose();
        _batches.Dispose();
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
            throw new CheckpointFormatException($"{file.Path}: {name} has token {(least < 0 ? least : most)}; config.json's vocab_size "
                + $"allows 0 to {vocabulary - 1}.");
        }
    }

    private static string Text(long[] shape) => $"[{string.Join(", ", shape)}]";

    private static ExpectedNumbers Read(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<ExpectedNumbers>(File.ReadAllText(path), Options)
                ?? throw new CheckpointFormatException($"{path}: it is null; loss, grad_norms and adamw are wanted.");
        }
        catch (Exception e) when (e is JsonException or FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CheckpointFormatException($"{path}: {e.Message} it must hold loss, grad_norms and adamw.");
        }
    }
}
