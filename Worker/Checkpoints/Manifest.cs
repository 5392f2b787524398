using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using DeepSeekOps.Worker.Data;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>
/// Where a stage stands between two steps. The randomness of a step grows from (seed, stage, step), so it needs no state.
/// </summary>
public sealed record Position(long Step, long Tokens, long Document, int Offset, double Loss)
{
    public static readonly Position Start = new(0, 0, 0, 0, 0);
}

/// <summary>Where weights come from: the checkpoint that a stage began from.</summary>
/// <param name="Run">Empty: none of ours made it.</param>
/// <param name="Folder">Of a published one, where it lay.</param>
public sealed record Lineage(string Run, string Stage, long Step, string Digest, string? Folder = null);

public sealed record ManifestFile(string Name, long Bytes, string Sha256);

/// <summary>The list of a checkpoint's files. Its own SHA-256 is the checkpoint's digest, and vouches for all of them.</summary>
public sealed record Manifest(
    int Format, string Run, string Stage, int Attempt, long Seed, Position Position, string DataCursor, bool Final, Lineage? BeganFrom,
    IReadOnlyList<ManifestFile> Files)
{
    /// <summary>
    /// Batches before this point that were left out, by their number in the stage's data order. A later launch passes over none of them
    /// again.
    /// </summary>
    public IReadOnlyList<long> LeftOut { get; init; } = [];

    /// <summary>Names of the lists of its parts, in the order of the ranks that wrote them. Empty: made before there were any.</summary>
    public IReadOnlyList<string> Parts { get; init; } = [];

    /// <summary>The data files and the tokenizer that it was trained with. Empty: made before they were named, or without any.</summary>
    public IReadOnlyList<InputMark> Inputs { get; init; } = [];

    public const int CurrentFormat = 1;
    public const string FileName = "manifest.json";

    /// <summary>A manifest of 100,000 files has about 15 MB.</summary>
    private const int BytesMax = 64 << 20;

    // A number that is not finite stands as "NaN" or "Infinity": what describes a checkpoint can be written whatever it is worth.
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        NumberHandling = JsonNumberHandling.AllowReadingFromString | JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>
    /// Of the run that made it, so that another run of the same name does not take it for its own. Empty: made before there were any.
    /// </summary>
    public string Registration { get; init; } = "";

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    public static string DigestOf(byte[] manifest) => Convert.ToHexStringLower(SHA256.HashData(manifest));

    /// <summary>Reads a checkpoint's manifest and checks every file against it.</summary>
    /// <param name="digest">What the manifest's own SHA-256 has to be; empty where it is not known.</param>
    /// <exception cref="RefusedCheckpointException">The checkpoint is truncated, changed or of another format.</exception>
    /// <exception cref="IOException">A disk that fails says nothing of a checkpoint: it is not refused for it.</exception>
    public static Manifest Verify(string folder, string digest)
    {
        var (manifest, found, _) = Read(folder);
        if (digest.Length > 0 && found != digest)
        {
            throw new RefusedCheckpointException($"{Path.Combine(folder, FileName)} has SHA-256 {found}; {digest} was registered");
        }
        foreach (var file in manifest.Files)
        {
            Check(Path.Combine(folder, file.Name), file);
        }
        return manifest;
    }

    /// <summary>The manifest alone; no file of its list is looked at.</summary>
    /// <exception cref="RefusedCheckpointException">There is none, or it cannot be understood.</exception>
    /// <exception cref="IOException">It could not be looked at.</exception>
    public static (Manifest Manifest, string Digest, int Bytes) Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        // Of a link the file that it leads to counts; a pipe or a device is never opened.
        var seen = Look(path);
        if (seen.Kind is FileKind.Missing or FileKind.Dangling)
        {
            throw new RefusedCheckpointException($"{path} is not there");
        }
        if (seen.Kind != FileKind.Regular || seen.Length is 0 or > BytesMax)
        {
            throw new RefusedCheckpointException($"{path} has {seen.Length} bytes or is not a file; a manifest has 1 to {BytesMax}");
        }
        var bytes = NamedFile.ReadAll(path, BytesMax);
        return (Parse(bytes, path), DigestOf(bytes), bytes.Length);
    }

    /// <exception cref="RefusedCheckpointException">It cannot be understood.</exception>
    internal static Manifest Parse(byte[] bytes, string path)
    {
        try
        {
            return JsonSerializer.Deserialize<Manifest>(bytes, Json)
                is { Format: CurrentFormat, Files: not null, Position: not null, Parts: not null, Inputs: not null } manifest
                ? manifest
                : throw new RefusedCheckpointException($"{path} is not of format {CurrentFormat}");
        }
        catch (JsonException e)
        {
            throw new RefusedCheckpointException($"{path} is not JSON: {e.Message}", e);
        }
    }

    private static void Check(string path, ManifestFile expected)
    {
        // Of a file that lies elsewhere and is linked to, the file counts.
        var seen = Look(path);
        if (seen.Kind != FileKind.Regular || seen.Length != expected.Bytes)
        {
            throw new RefusedCheckpointException($"{path} has {seen.Length} bytes; its manifest says {expected.Bytes}");
        }
        if (Sha256Of(path) is var found && found != expected.Sha256)
        {
            throw new RefusedCheckpointException($"{path} has SHA-256 {found}; its manifest says {expected.Sha256}");
        }
    }

    private static FileSeen Look(string path) =>
        FileSeen.At(path) is { IsUnknown: false } seen ? seen : throw NamedFile.WhyNot(path, FileSeen.At(path));

    public static string Sha256Of(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}

/// <summary>A checkpoint that must not be used; the message says why.</summary>
public sealed class RefusedCheckpointException : IOException
{
    public RefusedCheckpointException(string message)
        : base(message)
    {
    }

    public RefusedCheckpointException(string message, Exception cause)
        : base(message, cause)
    {
    }
}
