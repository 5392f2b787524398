using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Safetensors;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Model;

/// <summary>A folder with config.json and safetensors, as Hugging Face and our own training write it.</summary>
public static class ModelFolder
{
    /// <summary>The shape of a preset or of a config.json.</summary>
    public static ModelShape ShapeOf(string model) =>
        ModelShapes.Presets.TryGetValue(model, out var preset) ? preset
        : File.Exists(model) || model.EndsWith(".json", StringComparison.Ordinal) ? ConfigJson.Read(model)
        : throw new CheckpointFormatException(
            $"\"{model}\" is neither a preset ({string.Join(", ", ModelShapes.Presets.Keys)}) nor a config.json.");

    /// <summary>The model with its weights. MTP modules that config.json speaks of but the files lack are left out.</summary>
    /// <param name="positions">Places wanted at least; rotations beyond what config.json calls the context are made as those
    /// within.</param>
    /// <param name="withMtp">False: the main model alone, as transformers has it.</param>
    /// <param name="part">What of it this rank holds, by its shape; null: all.</param>
    /// <param name="experts">The ranks that share its routed experts.</param>
    /// <param name="file">The one file that holds the weights; null: those that the folder's checkpoint consists of.</param>
    public static DeepSeekModel Load(string folder, Device device, int positions = 0, bool withMtp = true, string? file = null,
        Func<ModelShape, ModelPart>? part = null, ExpertRanks? experts = null)
    {
        var (shape, quantization) = ConfigJson.ReadModel(Path.Combine(folder, ConfigJson.FileName));
        var list = WeightList.Read(folder, file);
        var plan = WeightCheck.Compare(shape, quantization, list);
        using var files = new SafetensorsFolder(list, plan.Scales);
        shape = shape with
        {
            MaxPositionEmbeddings = Math.Max(shape.MaxPositionEmbeddings, positions),
            // MTP modules follow each other: what comes after one that is absent has nothing to go on from.
            MtpDepth = !withMtp ? 0
                : Enumerable.Range(shape.Layers, shape.MtpDepth).TakeWhile(layer => !plan.AbsentMtp.Contains(WeightShapes.Layer(layer)))
                    .Count(),
        };
        var model = new DeepSeekModel(shape, device, part: part?.Invoke(shape), experts: experts);
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
