using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>
/// A published checkpoint: one model.safetensors, or shards listed by model.safetensors.index.json. Block-scaled FP8 weights
/// (name_scale_inv beside name, 128 × 128 blocks) are read as float32.
/// </summary>
public sealed class SafetensorsFolder : IDisposable
{
    private const string Single = "model.safetensors";
    private const string Index = "model.safetensors.index.json";
    private const string ScaleSuffix = "_scale_inv";
    private const int BlockSize = 128;

    private readonly Dictionary<string, SafetensorsFile> files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SafetensorsFile> fileByTensor = new(StringComparer.Ordinal);

    private SafetensorsFolder(string path) => Path = path;

    public string Path { get; }

    /// <summary>Names of weights; scales of FP8 weights are not weights.</summary>
    public IEnumerable<string> Names => fileByTensor.Keys.Where(n => !n.EndsWith(ScaleSuffix, StringComparison.Ordinal));

    /// <param name="only">The one file to read; null: the checkpoint's own.</param>
    /// <exception cref="CheckpointFormatException">No checkpoint there, or a damaged one.</exception>
    public static SafetensorsFolder Open(string path, string? only = null)
    {
        var folder = new SafetensorsFolder(path);
        try
        {
            folder.OpenFiles(only);
            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    public bool Contains(string name) => fileByTensor.ContainsKey(name);

    public long[] ShapeOf(string name) => FileOf(name)[name].Shape;

    /// <summary>The tensor in the file's element type, FP8 weights as float32.</summary>
    public Tensor Read(string name)
    {
        var file = FileOf(name);
        return file[name].Type == "F8_E4M3" && Contains(name + ScaleSuffix) ? Dequantised(file, name) : file.Read(name);
    }

    public void ReadInto(string name, Tensor target)
    {
        var file = FileOf(name);
        if (file[name].Type != "F8_E4M3")
        {
            file.ReadInto(name, target);
            return;
        }

        using var read = Read(name);
        if (!read.shape.AsSpan().SequenceEqual(target.shape))
        {
            throw new CheckpointFormatException(
                $"{Path}: tensor {name} is [{string.Join(", ", read.shape)}], the model wants [{string.Join(", ", target.shape)}].");
        }

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

    private void OpenFiles(string? only)
    {
        string index = System.IO.Path.Combine(Path, Index);
        string single = System.IO.Path.Combine(Path, Single);
        if (only is not null)
        {
            TakeAll(only);
        }
        else if (File.Exists(index))
        {
            foreach (var (tensor, shard) in ReadIndex(index))
            {
                var file = Shard(shard);
                fileByTensor[tensor] = file.Contains(tensor) ? file
                    : throw new CheckpointFormatException($"{index} places {tensor} in {shard}, which does not have it. Copy the checkpoint again.");
            }
        }
        else if (File.Exists(single))
        {
            TakeAll(Single);
        }
        else
        {
            throw new CheckpointFormatException($"{Path} has neither {Single} nor {Index}. Name the folder of a checkpoint.");
        }
    }

    private void TakeAll(string fileName)
    {
        var file = Shard(fileName);
        foreach (string name in file.Names)
        {
            fileByTensor[name] = file;
        }
    }

    private SafetensorsFile Shard(string name)
    {
        // An index names files beside it, never a path that leads elsewhere.
        if (System.IO.Path.GetFileName(name) != name || name.Length == 0)
        {
            throw new CheckpointFormatException($"{Path}: {Index} names '{name}', which is not a file beside it.");
        }

        if (!files.TryGetValue(name, out var file))
        {
            string path = System.IO.Path.Combine(Path, name);
            files[name] = file = File.Exists(path) ? SafetensorsFile.Open(path)
                : throw new CheckpointFormatException($"{Path}: shard {name} is missing. Copy the checkpoint again.");
        }

        return file;
    }

    private static List<(string Tensor, string Shard)> ReadIndex(string path)
    {
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(path));
            return [.. json.RootElement.GetProperty("weight_map").EnumerateObject().Select(m => (m.Name, m.Value.GetString() ?? ""))];
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new CheckpointFormatException($"{path} has no readable weight_map ({e.Message}). Copy the checkpoint again.");
        }
    }

    private SafetensorsFile FileOf(string name) => fileByTensor.TryGetValue(name, out var file) ? file
        : throw new CheckpointFormatException($"{Path} has no tensor {name}. It is a checkpoint of another model.");

    /// <summary>weight [out, in] times its block's scale [⌈out/128⌉, ⌈in/128⌉] (DeepSeek-V3, README_WEIGHTS).</summary>
    private Tensor Dequantised(SafetensorsFile file, string name)
    {
        using var scope = NewDisposeScope();
        var weight = file.Read(name).to_type(ScalarType.Float32);
        string scaleName = name + ScaleSuffix;
        var scale = FileOf(scaleName).Read(scaleName).to_type(ScalarType.Float32);
        long rows = weight.shape[0], columns = weight.shape[1];
        if (scale.shape is not [var blockRows, var blockColumns]
            || blockRows != (rows + BlockSize - 1) / BlockSize || blockColumns != (columns + BlockSize - 1) / BlockSize)
        {
            throw new CheckpointFormatException(
                $"{Path}: {scaleName} is [{string.Join(", ", scale.shape)}], which does not fit {BlockSize} × {BlockSize} blocks of [{rows}, {columns}].");
        }

        var spread = scale.repeat_interleave(BlockSize, 0).repeat_interleave(BlockSize, 1);
        return (weight * spread.narrow(0, 0, rows).narrow(1, 0, columns)).MoveToOuterDisposeScope();
    }
}
