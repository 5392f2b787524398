using DeepSeekOps.Recipes.Weights;
using DeepSeekOps.Worker.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>Looks for what is not finite among many tensors: one sum each, on its own device, and one wait for all.</summary>
internal static class FiniteNumbers
{
    /// <summary>The first tensor that holds a NaN or an infinity, and which of them. Null: all are finite.</summary>
    public static (string Name, double Value)? FirstSpoilt(IEnumerable<(string Name, Tensor Value)> tensors)
    {
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        foreach (var device in tensors.Where(t => t.Value.is_floating_point()).GroupBy(t => t.Value.device.ToString()))
        {
            var all = device.ToList();
            // What is not finite makes the sum so; the sum of finite numbers overflows only where they are beyond all use.
            var sums = stack([.. all.Select(t => t.Value.sum(ScalarType.Float32))]);
            var sound = sums.isfinite().cpu().data<bool>().ToArray();
            for (var i = 0; i < all.Count; i++)
            {
                if (!sound[i] && !all[i].Value.isfinite().all().item<bool>())
                {
                    return (all[i].Name, all[i].Value.isnan().any().item<bool>() ? double.NaN : double.PositiveInfinity);
                }
            }
        }
        return null;
    }

    /// <exception cref="RefusedCheckpointException">
    /// A tensor of the folder's files is not finite, or a file is none of tensors, though its bytes are those that were written.
    /// </exception>
    public static void Require(string folder, IEnumerable<string> files)
    {
        foreach (var path in files.Where(f => f.EndsWith(".safetensors", StringComparison.Ordinal)).Select(f => Path.Combine(folder, f)))
        {
            try
            {
                RequireFile(path);
            }
            catch (CheckpointFormatException e)
            {
                throw new RefusedCheckpointException(e.Message, e);
            }
        }
    }

    private static void RequireFile(string path)
    {
        using var file = SafetensorsFile.Open(path);
        foreach (var name in file.Names)
        {
            using var scope = NewDisposeScope();
            if (FirstSpoilt([(name, file.Read(name))]) is { } spoilt)
            {
                throw new RefusedCheckpointException($"{path}: tensor {name} has "
                    + $"{(double.IsNaN(spoilt.Value) ? "NaN" : "an infinity")} in it");
            }
        }
    }
}
