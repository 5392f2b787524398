using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>
/// A look at a folder of weights, so that a slip is told at submission and not by the first launch: its config.json, its list of
/// files, and whether each is whole. The rank that loads it reads all of it and has the last word.
/// </summary>
internal static class PublishedFolder
{
    public const string TokenizerName = "tokenizer.json";
    private const string Single = "model.safetensors";
    private const string Index = "model.safetensors.index.json";
    private const string Manifest = "manifest.json";
    private const string Fix = "Name the folder of a checkpoint: config.json with model.safetensors, or with model.safetensors.index.json and its shards.";
    private const int ConfigBytesMax = 1 << 20;
    private const int ListBytesMax = 100_000_000; // the format's own limit of a header

    /// <summary>This machine sees the folder; on another one, its shape has to be said beside it.</summary>
    public static bool IsSeen(string folder) => File.Exists(Path.Combine(folder, PublishedConfig.FileName));

    /// <summary>The model's shape and the folder's digest, or what is wrong with its config.json.</summary>
    public static (ModelShape? Shape, string Digest, string Problem) Read(string folder)
    {
        try
        {
            byte[] config = Bytes(Path.Combine(folder, PublishedConfig.FileName), ConfigBytesMax);
            return (PublishedConfig.Read(config), DigestOf(folder, config), "");
        }
        catch (Exception e) when (e is FormatException or IOException or UnauthorizedAccessException)
        {
            return (null, "", $"{Path.Combine(folder, PublishedConfig.FileName)}: {e.Message}");
        }
    }

    /// <summary>Null where every file is there and none is cut off.</summary>
    public static (string Message, string Fix)? Wrong(string folder)
    {
        try
        {
            string index = Path.Combine(folder, Index);
            string[] files = File.Exists(index) ? Shards(index) : [Single];
            string? missing = Array.Find(files, f => !File.Exists(Path.Combine(folder, f)));
            if (missing is not null)
            {
                return File.Exists(index) ? ($"The shard {missing} that {index} lists is missing.", "Copy the checkpoint again.")
                    : ($"'{folder}' has neither {Single} nor {Index}.", Fix);
            }
            return files.Select(f => WrongFile(Path.Combine(folder, f))).FirstOrDefault(w => w is not null) is { } wrong
                ? (wrong, "Copy the checkpoint again, or name another one.") : null;
        }
        catch (Exception e) when (e is FormatException or IOException or UnauthorizedAccessException)
        {
            return (e.Message, Fix);
        }
    }

    private static string DigestOf(string folder, byte[] config)
    {
        if (File.Exists(Path.Combine(folder, Manifest)))
        {
            return Convert.ToHexStringLower(SHA256.HashData(Bytes(Path.Combine(folder, Manifest), ListBytesMax)));
        }
        byte[] list = File.Exists(Path.Combine(folder, Index)) ? Bytes(Path.Combine(folder, Index), ListBytesMax)
            : File.Exists(Path.Combine(folder, Single)) ? Header(Path.Combine(folder, Single)) : [];
        return Convert.ToHexStringLower(SHA256.HashData([.. config, .. list]));
    }

    private static byte[] Bytes(string file, int most) => new FileInfo(file).Length <= most ? File.ReadAllBytes(file)
        : throw new FormatException($"{file} is larger than {most} bytes.");

    /// <summary>An index names files beside it, never a path that leads elsewhere.</summary>
    private static string[] Shards(string index)
    {
        try
        {
            using var json = JsonDocument.Parse(Bytes(index, ListBytesMax));
            string[] files = [.. json.RootElement.GetProperty("weight_map").EnumerateObject().Select(m => m.Value.GetString() ?? "").Distinct()];
            return Array.Find(files, f => f.Length == 0 || Path.GetFileName(f) != f) is { } outside
                ? throw new FormatException($"{index} names '{outside}', which is no file beside it.") : files;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new FormatException($"{index} has no readable weight_map: {e.Message}", e);
        }
    }

    /// <summary>The JSON that places a file's tensors, after 8 bytes that tell its length.</summary>
    private static byte[] Header(string file)
    {
        using var stream = File.OpenRead(file);
        Span<byte> length = stackalloc byte[8];
        bool told = stream.ReadAtLeast(length, 8, throwOnEndOfStream: false) == 8;
        ulong bytes = told ? BinaryPrimitives.ReadUInt64LittleEndian(length) : 0;
        if (bytes is 0 or > ListBytesMax || 8 + (long)bytes > stream.Length)
        {
            throw new FormatException($"{file} is not a whole safetensors file: it has {stream.Length} bytes, its header would have {bytes}.");
        }
        byte[] header = new byte[bytes];
        stream.ReadExactly(header);
        return header;
    }

    private static string? WrongFile(string file)
    {
        byte[] header = Header(file);
        try
        {
            using var json = JsonDocument.Parse(header);
            long end = json.RootElement.EnumerateObject().Where(t => t.Name != "__metadata__")
                .Select(t => t.Value.GetProperty("data_offsets")[1].GetInt64()).DefaultIfEmpty(0).Max();
            long whole = 8 + header.Length + end;
            long has = new FileInfo(file).Length;
            return has >= whole ? null : $"{file} is cut off: it has {has} of {whole} bytes.";
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or IndexOutOfRangeException or FormatException)
        {
            return $"{file} is not a safetensors file: {e.Message}";
        }
    }
}
