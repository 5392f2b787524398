using System.Buffers.Binary;
using System.Text.Json;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>Where a tensor lies in a safetensors file.</summary>
/// <param name="Type">The format's own name: "F32", "BF16", "F8_E4M3", "I64", …</param>
/// <param name="Offset">From the file's beginning, bytes.</param>
public sealed record TensorEntry(string Name, string Type, long[] Shape, long Offset, long Bytes);

/// <summary>A file that is not what it should be: which, what is wrong, and what to do.</summary>
public sealed class CheckpointFormatException(string message) : Exception(message);

/// <summary>
/// The head of a safetensors file: 8 bytes of length, then JSON that places every tensor. Everything is checked before anything is
/// read: a file from elsewhere may be cut off, damaged or made to harm.
/// </summary>
internal static class SafetensorsHeader
{
    /// <summary>The format's own limit; DeepSeek-V3's largest header is below 1 MB.</summary>
    private const long BytesMax = 100_000_000;

    public static Dictionary<string, TensorEntry> Read(Stream file, string path, out Dictionary<string, string> metadata)
    {
        Span<byte> lengthBytes = stackalloc byte[8];
        if (file.ReadAtLeast(lengthBytes, 8, throwOnEndOfStream: false) < 8)
        {
            throw Damaged(path, $"it has {file.Length} bytes, not even a header's length");
        }

        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(lengthBytes);
        if (length is 0 or > BytesMax || 8 + (long)length > file.Length)
        {
            throw Damaged(path, $"its header claims {length} bytes, the file has {file.Length}");
        }

        byte[] header = new byte[length];
        file.ReadExactly(header);
        try
        {
            using var json = JsonDocument.Parse(header, new JsonDocumentOptions { MaxDepth = 8 });
            return Parse(json.RootElement, path, dataStart: 8 + (long)length, file.Length, out metadata);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Text that is not UTF-8 is found only when a name is read, and comes as the second kind.
            throw Damaged(path, $"its header is not JSON ({e.Message})");
        }
    }

    private static Dictionary<string, TensorEntry> Parse(
        JsonElement root, string path, long dataStart, long fileLength, out Dictionary<string, string> metadata)
    {
        metadata = [];
        var entries = new Dictionary<string, TensorEntry>(StringComparer.Ordinal);
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw Damaged(path, "its header is not a JSON object");
        }

        foreach (var member in root.EnumerateObject())
        {
            if (member.Name == "__metadata__")
            {
                metadata = ParseMetadata(member.Value, path);
            }
            else if (!entries.TryAdd(member.Name, ParseEntry(member, path, dataStart, fileLength)))
            {
                throw Damaged(path, $"tensor {member.Name} is named twice");
            }
        }

        CheckNoOverlap(entries.Values, path);
        return entries;
    }

    private static Dictionary<string, string> ParseMetadata(JsonElement value, string path) =>
        value.ValueKind == JsonValueKind.Object && value.EnumerateObject().All(m => m.Value.ValueKind == JsonValueKind.String)
            ? value.EnumerateObject().GroupBy(m => m.Name).ToDictionary(m => m.Key, m => m.Last().Value.GetString() ?? "", StringComparer.Ordinal)
            : throw Damaged(path, "__metadata__ is not an object of texts");

    private static TensorEntry ParseEntry(JsonProperty member, string path, long dataStart, long fileLength)
    {
        var value = member.Value;
        if (value.ValueKind != JsonValueKind.Object
            || !value.TryGetProperty("dtype", out var type) || type.ValueKind != JsonValueKind.String
            || !value.TryGetProperty("shape", out var shape) || shape.ValueKind != JsonValueKind.Array
            || !value.TryGetProperty("data_offsets", out var offsets) || offsets.ValueKind != JsonValueKind.Array || offsets.GetArrayLength() != 2)
        {
            throw Damaged(path, $"tensor {member.Name} lacks dtype, shape or data_offsets");
        }

        string typeName = type.GetString() ?? "";
        if (TensorTypes.BytesPerElement(typeName) is not { } elementBytes)
        {
            throw Damaged(path, $"tensor {member.Name} has dtype {typeName}; known are {string.Join(", ", TensorTypes.Names)}");
        }

        long[] dimensions = Numbers(shape, member.Name, path);
        long[] ends = Numbers(offsets, member.Name, path);
        long expected = elementBytes;
        try
        {
            expected = dimensions.Aggregate(expected, (product, d) => checked(product * d));
        }
        catch (OverflowException)
        {
            throw Damaged(path, $"tensor {member.Name} has the impossible shape [{string.Join(", ", dimensions)}]");
        }

        if (ends[0] > ends[1] || ends[1] > fileLength - dataStart || ends[1] - ends[0] != expected)
        {
            throw Damaged(path, $"tensor {member.Name} should be {expected} bytes at [{ends[0]}, {ends[1]}), the file ends at {fileLength - dataStart}");
        }

        return new TensorEntry(member.Name, typeName, dimensions, dataStart + ends[0], expected);
    }

    private static long[] Numbers(JsonElement array, string name, string path)
    {
        var numbers = new long[array.GetArrayLength()];
        int i = 0;
        foreach (var item in array.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out long number) || number < 0)
            {
                throw Damaged(path, $"tensor {name} has {item.GetRawText()} where a number from 0 belongs");
            }

            numbers[i++] = number;
        }

        return numbers;
    }

    private static void CheckNoOverlap(IEnumerable<TensorEntry> entries, string path)
    {
        TensorEntry? before = null;
        foreach (var entry in entries.Where(e => e.Bytes > 0).OrderBy(e => e.Offset))
        {
            if (before is not null && entry.Offset < before.Offset + before.Bytes)
            {
                throw Damaged(path, $"tensors {before.Name} and {entry.Name} lie over each other");
            }

            before = entry;
        }
    }

    private static CheckpointFormatException Damaged(string path, string what) =>
        new($"{path} is not a whole safetensors file: {what}. Use another checkpoint, or copy this one again.");
}
