using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Safetensors;

/// <summary>The tensors of a published checkpoint, read one by one. Float8 weights are read as float32, each with its scale.</summary>
public sealed class SafetensorsFolder : IDisposable
{
    private readonly Dictionary<string, SafetensorsFile> files = new(StringComparer.Ordinal);
    private readonly WeightList list;
    private readonly IReadOnlyDictionary<string, WeightScale> scales;

    /// <param name="list">Of the folder.</param>
    /// <param name="scales">By the weight that they belong to.</param>
    public SafetensorsFolder(WeightList list, IReadOnlyDictionary<string, WeightScale> scales) => (this.list, this.scales) = (list, scales);

    /// <summary>The tensor in the file's element type, scaled weights as float32.</summary>
    public Tensor Read(string name) => scales.TryGetValue(name, out var scale) ? Scaled(name, scale) : FileOf(name).Read(name);

    public void ReadInto(string name, Tensor target)
    {
        if (!scales.ContainsKey(name) && list.Tensors[name].Entry.Type != ElementTypes.Float8)
        {
            FileOf(name).ReadInto(name, target);
            return;
        }

        using var read = Read(name);
        using var _ = no_grad();
        target.copy_(read);
    }

    public void Dispose()
    {
        foreach (var file in files.Values)
        {
            file.Dispose();
        }
    }

    private SafetensorsFile FileOf(string name)
    {
        string shard = list.Tensors.TryGetValue(name, out var listed) ? listed.File
            : throw new CheckpointFormatException($"'{list.Folder}' has no tensor {name}. It is a checkpoint of another model.");
        if (!files.TryGetValue(shard, out var file))
        {
            files[shard] = file = SafetensorsFile.Open(Path.Combine(list.Folder, shard));
        }

        return file;
    }

    /// <summary>
    /// weight [out, in] times the scale of its block (DeepSeek-V3, README_WEIGHTS). A scale for all of it, or for each row, is a block as
    /// large.
    /// </summary>
    private Tensor Scaled(string name, WeightScale scale)
    {
        using var scope = NewDisposeScope();
        var weight = FileOf(name).Read(name).to_type(ScalarType.Float32);
        var factors = FileOf(scale.Tensor).Read(scale.Tensor).to_type(ScalarType.Float32);
        if (weight.shape is not [var rows, var columns])
        {
            return (weight * factors.reshape(1)).MoveToOuterDisposeScope();
        }

        var (high, wide) = ((rows + scale.Block.Rows - 1) / scale.Block.Rows, (columns + scale.Block.Columns - 1) / scale.Block.Columns);
        var ofBlocks = factors.reshape(high, wide);
        var spread = ofBlocks.repeat_interleave(scale.Block.Rows, 0).repeat_interleave(scale.Block.Columns, 1);
        return (weight * spread.narrow(0, 0, rows).narrow(1, 0, columns)).MoveToOuterDisposeScope();
    }
}
