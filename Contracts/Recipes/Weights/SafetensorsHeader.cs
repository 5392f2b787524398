using System.Buffers.Binary;
using System.Text.Json;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.Recipes.Weights;

/// <summary>Where a tensor lies in a safetensors file.</summary>
/// <param name="Type">The format's own name: "F32", "BF16", "F8_E4M3", "I64", …</param>
/// <param name="Offset">From the file's beginning, bytes.</param>
public sealed record TensorEntry(string Name, string Type, long[] Shape, long Offset, long Bytes);

/// <summary>
/// The head of a safetensors file: 8 bytes of length, then JSON that places every tensor. Everything is checked before anything is
/// read: a file from elsewhere may be cut off, damaged or made to harm.
/// </summary>
public sealed class SafetensorsHeader
{
    /// <summary>The format's own limit; DeepSeek-V3's largest header is below 1 MB.</summary>
    private const int BytesMax = 100_000_000;

    private const int LengthBytes = 8;

    private readonly string _path;
    private readonly long _fileLength;
    private readonly long _dataStart;

    private SafetensorsHeader(string path, long fileLength, byte[] json) =>
        (_path, _fileLength, _dataStart, Json) = (path, fileLength, LengthBytes + json.Length, json);

    /// <summary>As it stands in the file.</summary>
    public byte[] Json { get; }

    public IReadOnlyDictionary<string, TensorEntry> Tensors { get; private set; } = new Dictionary<string, TensorEntry>();

    public IReadOnlyDictionary<string, string> Metadata { get; private set; } = new Dictionary<string, string>();

    /// <exception cref="CheckpointFormatException">The file is cut off or damaged; the message says where.</exception>
    public static SafetensorsHeader Read(string path)
    {
        using var file = NamedFile.Open(path);
        return Read(file);
    }

    /// <exception cref="CheckpointFormatException">The file is cut off or damaged; the message says where.</exception>
    public static SafetensorsHeader Read(NamedFile file)
    {
        Span<byte> lengthBytes = stackalloc byte[LengthBytes];
        if (!Fill(file, lengthBytes, 0))
        {
            throw Damaged(file.Path, $"it has {file.Length} bytes, not even a header's length");
        }

        Span<byte> beginning = stackalloc byte[64];
        if (LargeFilePointer.Is(beginning[..file.Read(beginning, 0)]))
        {
            throw new CheckpointFormatException(
                $"{file.Path} is a pointer of Git LFS: the file itself was not fetched.", LargeFilePointer.Fix);
        }

        var length = BinaryPrimitives.ReadUInt64LittleEndian(lengthBytes);
        if (length is 0 or > BytesMax || LengthBytes + (long)length > file.Length)
        {
            throw Damaged(file.Path, $"its header claims {length} bytes, the file has {file.Length}");
        }

        var json = new byte[length];
        if (!Fill(file, json, LengthBytes))
        {
            throw Damaged(file.Path, "it became shorter while it was read");
        }

        var header = new SafetensorsHeader(file.Path, file.Length, json);
        header.Parse();
        return header;
    }

    private static bool Fill(NamedFile file, Span<byte> target, long at)
    {
        var done = 0;
        while (done < target.Length && file.Read(target[done..], at + done) is > 0 and var read)
        {
            done += read;
        }

        return done == target.Length;
    }

    private void Parse()
    {
        try
        {
            using var json = JsonDocument.Parse(Json, new JsonDocumentOptions { MaxDepth = 8 });
            if (json.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw Damaged("its header is not a JSON object");
            }

            Parse(json.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Text that is not UTF-8 is found only when a name is read, and comes as the second kind.
            throw Damaged("its header is not JSON");
        }
    }

    private void Parse(JsonElement root)
    {
        var entries = new Dictionary<string, TensorEntry>(StringComparer.Ordinal);
        foreach (var member in root.EnumerateObject())
        {
            if (member.Name == "__metadata__")
            {
                Metadata = ParseMetadata(member.Value);
            }
            else if (!entries.TryAdd(member.Name, ParseEntry(member)))
            {
                throw Damaged($"tensor {member.Name} is named twice");
            }
        }

        CheckCovered(entries.Values);
        Tensors = entries;
    }

    private Dictionary<string, string> ParseMetadata(JsonElement value) =>
        value.ValueKind == JsonValueKind.Object && value.EnumerateObject().All(m => m.Value.ValueKind == JsonValueKind.String)
            ? value.EnumerateObject().GroupBy(m => m.Name)
                .ToDictionary(m => m.Key, m => m.Last().Value.GetString() ?? "", StringComparer.Ordinal)
            : throw Damaged("__metadata__ is not an object of texts");

    private TensorEntry ParseEntry(JsonProperty member)
    {
        var value = member.Value;
        if (value.ValueKind != JsonValueKind.Object
            || !value.TryGetProperty("dtype", out var type) || type.ValueKind != JsonValueKind.String
            || !value.TryGetProperty("shape", out var shape) || shape.ValueKind != JsonValueKind.Array
            || !value.TryGetProperty("data_offsets", out var offsets) || offsets.ValueKind != JsonValueKind.Array
            || offsets.GetArrayLength() != 2)
        {
            throw Damaged($"tensor {member.Name} lacks dtype, shape or data_offsets");
        }

        var typeName = type.GetString() ?? "";
        if (ElementTypes.BitsOf(typeName) is not { } bits)
        {
            throw new CheckpointFormatException(
                $"{_path}: tensor {member.Name} has dtype {typeName}, which is not known.",
                $"Weights are read as {string.Join(", ", ElementTypes.OfWeights)}.");
        }

        var dimensions = Numbers(shape, member.Name);
        var ends = Numbers(offsets, member.Name);
        long expected;
        try
        {
            expected = dimensions.Aggregate((long)bits, (product, d) => checked(product * d)) / 8;
        }
        catch (OverflowException)
        {
            throw Damaged($"tensor {member.Name} has the impossible shape [{string.Join(", ", dimensions)}]");
        }

        if (ends[0] > ends[1] || ends[1] > _fileLength - _dataStart || ends[1] - ends[0] != expected)
        {
            throw Damaged(
                $"tensor {member.Name} should be {expected} bytes at [{ends[0]}, {ends[1]}), the file ends at {_fileLength - _dataStart}");
        }

        return new TensorEntry(member.Name, typeName, dimensions, _dataStart + ends[0], expected);
    }

    private long[] Numbers(JsonElement array, string name)
    {
        var numbers = new long[array.GetArrayLength()];
        var i = 0;
        foreach (var item in array.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out var number) || number < 0)
            {
                throw Damaged($"tensor {name} has {JsonText.Short(item.GetRawText())} where a number from 0 belongs");
            }

            numbers[i++] = number;
        }

        return numbers;
    }

    /// <summary>
    /// Tensors lie side by side to the file's end, as the format has it and its own library asks: bytes of which the header says nothing
    /// are weights that got lost, or another file's.
    /// </summary>
    private void CheckCovered(IEnumerable<TensorEntry> entries)
    {
        var end = _dataStart;
        var before = "the header";
        foreach (var entry in entries.Where(e => e.Bytes > 0).OrderBy(e => e.Offset))
        {
            if (entry.Offset < end)
            {
                throw Damaged($"tensors {before} and {entry.Name} lie over each other");
            }

            if (entry.Offset > end)
            {
                throw Damaged($"{entry.Offset - end} bytes between {before} and {entry.Name} belong to no tensor");
            }

            (end, before) = (entry.Offset + entry.Bytes, entry.Name);
        }

        if (end < _fileLength)
        {
            throw Damaged($"its last {_fileLength - end} bytes belong to no tensor");
        }
    }

    private CheckpointFormatException Damaged(string what) => Damaged(_path, what);

    private static CheckpointFormatException Damaged(string path, string what) =>
        new($"{path} is not a whole safetensors file: {what}.", "Use another checkpoint, or copy this one again.");
}
