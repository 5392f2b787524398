using System.Security.Cryptography;
using System.Text.Json.Nodes;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Model;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training;

/// <summary>Weights that no stage of the run made: a folder as Hugging Face publishes it, or a checkpoint of another run.</summary>
public static class PublishedWeights
{
    private const string Index = "model.safetensors.index.json";

    /// <summary>Fills the model. MTP modules that the folder lacks keep the weights they have, and this is told.</summary>
    /// <exception cref="RefusedCheckpointException">The folder changed, is damaged, or holds another model; the message says what to do.</exception>
    public static Lineage Load(DeepSeekModel model, CheckpointRef from, Action<string>? note)
    {
        try
        {
            if (!File.Exists(Path.Combine(from.Path, ConfigJson.FileName)))
            {
                throw new CheckpointFormatException($"it has no {ConfigJson.FileName} here. Put the folder where the workers see it, or name another one");
            }
            var digest = DigestOf(from.Path);
            if (from.Digest.Length > 0 && digest != from.Digest)
            {
                throw new RefusedCheckpointException(
                    $"its digest is {digest}, and was {from.Digest} when the run was submitted. Put the folder back as it was, or submit a run that begins from it as it is");
            }
            var made = File.Exists(Path.Combine(from.Path, Manifest.FileName)) ? Manifest.Verify(from.Path, digest) : null;
            CompareShapes(model.Shape, from.Path);
            Fill(model, from.Path, note);
            return new Lineage(made?.Run ?? "", made?.Stage ?? "", made?.Position.Step ?? 0, digest, from.Path);
        }
        catch (Exception e) when (e is CheckpointFormatException or IOException or UnauthorizedAccessException)
        {
            throw new RefusedCheckpointException($"The stage cannot begin from {from.Path}: {e.Message.TrimEnd('.')}.", e);
        }
    }

    /// <summary>Of manifest.json where it is there; else of config.json followed by the index of the shards, or by the header of the single file.</summary>
    internal static string DigestOf(string folder)
    {
        if (File.Exists(Path.Combine(folder, Manifest.FileName)))
        {
            return Manifest.Sha256Of(Path.Combine(folder, Manifest.FileName));
        }
        var config = File.ReadAllBytes(Path.Combine(folder, ConfigJson.FileName));
        var index = Path.Combine(folder, Index);
        var list = File.Exists(index) ? File.ReadAllBytes(index) : SafetensorsFile.ReadHeader(Path.Combine(folder, ModelWeights.FileName));
        return Convert.ToHexStringLower(SHA256.HashData([.. config, .. list]));
    }

    /// <summary>What fixes tensors and formulas. The control plane read the same config.json; this says so, and that both read it alike.</summary>
    private static void CompareShapes(ModelShape wanted, string folder)
    {
        var path = Path.Combine(folder, ConfigJson.FileName);
        var there = Fields(ConfigJson.Read(path) with { MtpDepth = wanted.MtpDepth, InitStd = wanted.InitStd, MaxPositionEmbeddings = wanted.MaxPositionEmbeddings });
        var here = Fields(wanted);
        string[] others = [.. here.Where(f => f.Value != there[f.Key]).Select(f => $"{f.Key} is {there[f.Key]}, the pipeline's model has {f.Value}")];
        if (others.Length > 0)
        {
            throw new CheckpointFormatException($"in {path} {string.Join("; ", others)}. Write 'model: {{from: …}}' without a shape of its own, or name another folder");
        }
    }

    private static Dictionary<string, string> Fields(ModelShape shape)
    {
        // Left out and 0 mean the same.
        var yarn = shape.Yarn is { } y ? y with { Mscale = y.Mscale ?? 0, MscaleAllDim = y.MscaleAllDim ?? 0 } : null;
        var config = JsonNode.Parse(ConfigJson.ToBytes(shape with { Yarn = yarn }))!.AsObject();
        return ((string[])[.. config.Select(f => f.Key), "rope_scaling"]).Distinct().ToDictionary(f => f, f => config[f]?.ToJsonString() ?? "none");
    }

    private static void Fill(DeepSeekModel model, string folder, Action<string>? note)
    {
        using var files = SafetensorsFolder.Open(folder);
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var shape = model.Shape;
        string[] absent = [.. Enumerable.Range(shape.Layers, shape.MtpDepth).Select(WeightShapes.Layer)
            .Where(prefix => !files.Names.Any(n => n.StartsWith(prefix, StringComparison.Ordinal)))];
        var tensors = model.PublishedTensors().Where(t => !absent.Any(prefix => t.Name.StartsWith(prefix, StringComparison.Ordinal))).ToList();
        string[] missing = [.. tensors.Select(t => t.Name).Where(n => !files.Contains(n))];
        if (missing.Length > 0)
        {
            var more = missing.Length > 1 ? $" and {missing.Length - 1} more of the {tensors.Count} that its config.json speaks of" : "";
            throw new CheckpointFormatException($"it has no tensor {missing[0]}{more}. Copy the checkpoint again, with every shard and the index of its own");
        }
        foreach (var (name, target) in tensors)
        {
            files.ReadInto(name, target);
        }
        if (absent.Length > 0)
        {
            note?.Invoke($"{folder} has no weights of {(absent.Length == 1 ? "the MTP module" : $"{absent.Length} MTP modules")} "
                + $"({string.Join(", ", absent.Select(p => p.TrimEnd('.')))}): initialised at random.");
        }
    }
}
