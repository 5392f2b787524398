using System.Security.Cryptography;
using System.Text.Json.Nodes;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>Weights that no stage of the run made: a folder as Hugging Face publishes it, or a checkpoint of another run.</summary>
public static class PublishedWeights
{
    /// <summary>Fills the model. MTP modules that the folder lacks keep the weights they have, and this is told.</summary>
    /// <exception cref="BadInputException">The folder changed, is damaged, or holds another model: no further launch would mend
    /// that.</exception>
    /// <exception cref="RefusedCheckpointException">The folder cannot be read here and now.</exception>
    public static Lineage Load(DeepSeekModel model, CheckpointRef from, Action<string>? note)
    {
        try
        {
            var config = Path.Combine(from.Path, ConfigJson.FileName);
            if (FileSeen.At(config).Kind is FileKind.Missing or FileKind.Dangling)
            {
                throw new FileNotFoundException($"it has no {ConfigJson.FileName} here. Put the folder where the workers "
                    + "see it, or name another one");
            }
            var digest = DigestOf(from.Path);
            if (from.Digest.Length > 0 && digest != from.Digest)
            {
                throw new CheckpointFormatException(
                    $"its digest is {digest}, and was {from.Digest} when the run was submitted.",
                    "Put the folder back as it was, or submit a run that begins from it as it is.");
            }
            var made = FileSeen.IsRegular(Path.Combine(from.Path, Manifest.FileName)) ? Manifest.Verify(from.Path, digest) : null;
            CompareShapes(model.Shape, config);
            Fill(model, from.Path, note);
            return new Lineage(made?.Run ?? "", made?.Stage ?? "", made?.Position.Step ?? 0, digest, from.Path);
        }
        catch (BadInputException e)
        {
            throw new BadInputException($"The stage cannot begin from {from.Path}: {e.What}", e.Fix, e);
        }
        catch (RefusedCheckpointException e)
        {
            throw new BadInputException($"The stage cannot begin from {from.Path}: {e.Message.TrimEnd('.')}.",
                "Copy the checkpoint again, or name another one.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusedCheckpointException($"The stage cannot begin from {from.Path}: {e.Message.TrimEnd('.')}.", e);
        }
    }

    /// <summary>
    /// Of manifest.json where it is there; else of config.json followed by the index of the shards, or by the header of the single file.
    /// </summary>
    internal static string DigestOf(string folder)
    {
        if (FileSeen.IsRegular(Path.Combine(folder, Manifest.FileName)))
        {
            return Manifest.Sha256Of(Path.Combine(folder, Manifest.FileName));
        }
        var config = NamedFile.ReadAll(Path.Combine(folder, ConfigJson.FileName), ConfigJson.BytesMax);
        return Convert.ToHexStringLower(SHA256.HashData([.. config, .. WeightList.Identity(folder)]));
    }

    /// <summary>
    /// What fixes tensors and formulas. The control plane read the same config.json; this says so, and that both read it alike.
    /// </summary>
    private static void CompareShapes(ModelShape wanted, string path)
    {
        var there =
            Fields(ConfigJson.Read(path) with
            {
                MtpDepth = wanted.MtpDepth,
                InitStd = wanted.InitStd,
                MaxPositionEmbeddings = wanted.MaxPositionEmbeddings,
            });
        var here = Fields(wanted);
        string[] others =
            [.. here.Where(f => f.Value != there[f.Key]).Select(f => $"{f.Key} is {there[f.Key]}, the pipeline's model has {f.Value}")];
        if (others.Length > 0)
        {
            throw new CheckpointFormatException($"in {path} {string.Join("; ", others)}.",
                "Write 'model: {from: …}' without a shape of its own, or name another folder.");
        }
    }

    private static Dictionary<string, string> Fields(ModelShape shape)
    {
        // Left out and 0 mean the same.
        var yarn = shape.Yarn is { } y ? y with { Mscale = y.Mscale ?? 0, MscaleAllDim = y.MscaleAllDim ?? 0 } : null;
        var config = JsonNode.Parse(ConfigJson.ToBytes(shape with { Yarn = yarn }))!.AsObject();
        return ((string[])[.. config.Select(f => f.Key), "rope_scaling"]).Distinct()
            .ToDictionary(f => f, f => config[f]?.ToJsonString() ?? "none");
    }

    private static void Fill(DeepSeekModel model, string folder, Action<string>? note)
    {
        var list = WeightList.Read(folder);
        var plan = WeightCheck.Compare(model.Shape, ConfigJson.ReadModel(Path.Combine(folder, ConfigJson.FileName)).Quantization, list);
        using var files = new SafetensorsFolder(list, plan.Scales);
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (name, target) in model.PublishedTensors()
            .Where(t => !plan.AbsentMtp.Any(prefix => t.Name.StartsWith(prefix, StringComparison.Ordinal))))
        {
            files.ReadInto(name, target);
        }
        foreach (var said in plan.Notes)
        {
            note?.Invoke(said);
        }
        if (plan.AbsentMtp is { Count: > 0 } absent)
        {
            note?.Invoke($"{folder} has no weights of {(absent.Count == 1 ? "the MTP module" : $"{absent.Count} MTP modules")} "
                + $"({string.Join(", ", absent.Select(p => p.TrimEnd('.')))}): initialised at random.");
        }
    }
}
