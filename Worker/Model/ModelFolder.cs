using DeepSeekOps.Worker.Checkpoints;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Model;

/// <summary>A folder with config.json and safetensors, as Hugging Face and our own training write it.</summary>
public static class ModelFolder
{
    /// <summary>The model with its weights. MTP modules that config.json speaks of but the files lack are left out.</summary>
    /// <param name="positions">Places wanted at least; rotations beyond what config.json calls the context are made as those within.</param>
    /// <param name="withMtp">False: the main model alone, as transformers has it.</param>
    /// <param name="file">The one file that holds the weights; null: those that the folder's checkpoint consists of.</param>
    public static DeepSeekModel Load(string folder, Device device, int positions = 0, bool withMtp = true, string? file = null)
    {
        var shape = ConfigJson.Read(Path.Combine(folder, ConfigJson.FileName));
        shape = shape with { MaxPositionEmbeddings = Math.Max(shape.MaxPositionEmbeddings, positions) };
        using var files = SafetensorsFolder.Open(folder, file);
        if (shape.MtpDepth > 0 && (!withMtp || !files.Contains(WeightShapes.Layer(shape.Layers) + "eh_proj.weight")))
        {
            shape = shape with { MtpDepth = 0 };
        }

        var model = new DeepSeekModel(shape, device);
        try
        {
            using var noGrad = no_grad();
            using var scope = NewDisposeScope();
            foreach (var (name, target) in model.PublishedTensors())
            {
                files.ReadInto(name, target);
            }

            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }
}
