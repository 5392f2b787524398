using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Safetensors;

/// <summary>One open safetensors file. Tensors are read one by one, straight into their memory.</summary>
public sealed class SafetensorsFile : IDisposable
{
    private readonly NamedFile file;
    private readonly IReadOnlyDictionary<string, TensorEntry> entries;

    private SafetensorsFile(NamedFile file, SafetensorsHeader header)
    {
        this.file = file;
        entries = header.Tensors;
        Metadata = header.Metadata;
    }

    public string Path => file.Path;

    public IReadOnlyDictionary<string, string> Metadata { get; }

    public IEnumerable<string> Names => entries.Keys;

    public TensorEntry this[string name] => entries.TryGetValue(name, out var entry) ? entry
        : throw new CheckpointFormatException($"{Path} has no tensor {name}. It is a checkpoint of another model, or "
            + "a shard of a larger one.");

    /// <exception cref="CheckpointFormatException">The file is cut off or damaged; the message says where.</exception>
    public static SafetensorsFile Open(string path)
    {
        var file = NamedFile.Open(path);
        try
        {
            return new SafetensorsFile(file, SafetensorsHeader.Read(file));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public bool Contains(string name) => entries.ContainsKey(name);

    /// <summary>A new tensor on the CPU with the file's own element type.</summary>
    public Tensor Read(string name)
    {
        var entry = this[name];
        var tensor = empty(entry.Shape, TensorTypes.TypeOf(entry, Path), CPU);
        Fill(tensor, entry);
        return tensor;
    }

    /// <summary>Fills an existing tensor of the same shape; other element types and devices are converted on the way.</summary>
    public void ReadInto(string name, Tensor target)
    {
        var entry = this[name];
        if (!entry.Shape.AsSpan().SequenceEqual(target.shape))
        {
            throw new CheckpointFormatException(
                $"{Path}: tensor {name} is [{string.Join(", ", entry.Shape)}], the model needs [{string.Join(", ", target.shape)}]. "
                + "The checkpoint belongs to a model of another shape.");
        }

        if (target.device_type == DeviceType.CPU && target.dtype == TensorTypes.TypeOf(entry, Path) && target.is_contiguous())
        {
            Fill(target, entry);
            return;
        }

        using var read = Read(name);
        using var _ = no_grad();
        target.copy_(read);
    }

    public void Dispose() => file.Dispose();

    private unsafe void Fill(Tensor tensor, TensorEntry entry)
    {
        // One read takes at most what fits an int; large tensors take several.
        const int ChunkBytes = 1 << 30;
        byte* target = (byte*)TensorMemory.Address(tensor);
        for (long done = 0; done < entry.Bytes;)
        {
            int want = (int)Math.Min(ChunkBytes, entry.Bytes - done);
            int got = file.Read(new Span<byte>(target + done, want), entry.Offset + done);
            if (got == 0)
            {
                throw new CheckpointFormatException($"{Path} ends in the middle of tensor {entry.Name}. Use another "
                    + "checkpoint, or copy this one again.");
            }

            done += got;
        }
    }
}
