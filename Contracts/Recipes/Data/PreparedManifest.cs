using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.Recipes.Data;

/// <summary>One of the sources that a set was prepared from: its documents lie one after another.</summary>
/// <param name="Weight">Times that an epoch reads each of its documents; below 1: the share that it reads.</param>
public sealed record PreparedSource(
    string Name, double Weight, long FirstDocument, long Documents, long Tokens, long TextBytes, int Files)
{
    /// <summary>Documents of an epoch.</summary>
    [JsonIgnore]
    public long Samples => Documents == 0 ? 0 : Math.Max(1, (long)Math.Round(Weight * Documents));
}

/// <summary>
/// manifest.json of a prepared set. It is written last, so where it is the set is whole; its SHA-256 is the set's digest, and vouches for
/// the table of shards, which vouches for each shard.
/// </summary>
/// <param name="Tokenizer">"byte", or the name of the tokenizer.json beside it.</param>
/// <param name="TokenizerSha256">Of that file; empty for bytes.</param>
/// <param name="IdBytes">Of a token: 2 or 4.</param>
public sealed record PreparedManifest(
    string Kind, int Format, string Tokenizer, string TokenizerSha256, int VocabSize, int IdBytes, long Shards, long Documents, long Tokens,
    long TextBytes, string TableSha256, IReadOnlyList<PreparedSource> Sources)
{
    public const string FileName = "manifest.json";
    public const string KindOfAll = "dsops prepared data";
    public const int CurrentFormat = 1;

    /// <summary>Ten thousand sources have about 2 MB.</summary>
    private const int BytesMax = 16 << 20;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true, AllowDuplicateProperties = false, RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>Documents of an epoch, of all sources by their weights.</summary>
    [JsonIgnore]
    public long Samples => Sources.Sum(s => s.Samples);

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    public static string DigestOf(ReadOnlySpan<byte> manifest) => Convert.ToHexStringLower(SHA256.HashData(manifest));

    /// <exception cref="BadInputException">There is none, or it is not what it should be.</exception>
    public static (PreparedManifest Manifest, string Digest, int Bytes) Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (FileSeen.At(path).Kind is FileKind.Missing or FileKind.Dangling)
        {
            throw FileSeen.At(Path.Combine(folder, PreparedSet.PlanName)).Kind == FileKind.Regular
                ? new BadInputException($"'{folder}' is a set that is not prepared to its end: it has no {FileName}.",
                    "Run the same `dsops data prepare` again: it goes on where it was.")
                : new BadInputException($"'{folder}' is a folder without {FileName}.",
                    "Name files, or a folder that `dsops data prepare` made.");
        }

        var bytes = NamedFile.ReadAll(path, BytesMax);
        try
        {
            var read = JsonSerializer.Deserialize<PreparedManifest>(bytes, Json);
            if (read is not { Kind: KindOfAll })
            {
                throw new BadInputException($"'{path}' is not of a prepared set.",
                    "Name files, or a folder that `dsops data prepare` made.");
            }

            read.Check(path);
            return (read, DigestOf(bytes), bytes.Length);
        }
        catch (Exception e) when (e is JsonException or OverflowException)
        {
            throw new BadInputException($"'{path}' cannot be understood: it was cut off or changed.", PreparedSet.Again, e);
        }
    }

    private void Check(string path)
    {
        if (Format != CurrentFormat)
        {
            throw new BadInputException($"'{path}' is of format {Format}; {CurrentFormat} is read.",
                "Prepare it again with this version, into another folder.");
        }

        long next = 0;
        foreach (var source in Sources)
        {
            // 2^53: until there every number of documents times a weight is told exactly.
            Require(source.FirstDocument == next && source.Documents is >= 0 and < 1L << 53 && source.Tokens >= 0 && source.TextBytes >= 0
                && double.IsFinite(source.Weight) && source.Weight is > 0 and <= 1000, $"source '{source.Name}'", path);
            next += source.Documents;
        }

        Require(Documents == next && next > 0 && Samples > 0, "\"documents\"", path);
        Require(Tokens == Sources.Sum(s => s.Tokens) && TextBytes == Sources.Sum(s => s.TextBytes), "\"tokens\"", path);
        Require(Shards is > 0 and < int.MaxValue, "\"shards\"", path);
        Require(IdBytes is 2 or 4 && VocabSize > 0 && (IdBytes == 4 || VocabSize <= 1 << 16), "\"idBytes\"", path);
        Require(IsSha256(TableSha256) && (TokenizerSha256.Length == 0 || IsSha256(TokenizerSha256)), "a hash", path);
    }

    private static bool IsSha256(string text) => text.Length == 64 && text.All(char.IsAsciiHexDigitLower);

    private static void Require(bool holds, string what, string path)
    {
        if (!holds)
        {
            throw new BadInputException($"'{path}': {what} does not fit with the rest of it.", PreparedSet.Again);
        }
    }
}
