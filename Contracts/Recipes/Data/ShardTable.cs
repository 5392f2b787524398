using System.Buffers.Binary;
using System.Security.Cryptography;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.Recipes.Data;

/// <param name="FirstDocument">Documents of the shards before it.</param>
public sealed record ShardEntry(long FirstDocument, long Documents, long Tokens, long TextBytes, ReadOnlyMemory<byte> Sha256)
{
    public const int Bytes = 64;

    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteInt64LittleEndian(to, FirstDocument);
        BinaryPrimitives.WriteInt64LittleEndian(to[8..], Documents);
        BinaryPrimitives.WriteInt64LittleEndian(to[16..], Tokens);
        BinaryPrimitives.WriteInt64LittleEndian(to[24..], TextBytes);
        Sha256.Span.CopyTo(to[32..]);
    }

    public static ShardEntry Read(ReadOnlySpan<byte> from) => new(
        BinaryPrimitives.ReadInt64LittleEndian(from), BinaryPrimitives.ReadInt64LittleEndian(from[8..]),
        BinaryPrimitives.ReadInt64LittleEndian(from[16..]), BinaryPrimitives.ReadInt64LittleEndian(from[24..]), from[32..Bytes].ToArray());
}

/// <summary>
/// The shards of a set in the order of their documents, 64 bytes each: for 60 TB of text 4 MB, which stay where they lie. So a launch reads
/// no list of shards into memory.
/// </summary>
public sealed class ShardTable : IDisposable
{
    public const string FileName = "shards.table";

    private readonly RandomReadFile _file;
    private readonly string _path;

    private ShardTable(RandomReadFile file, string path, long count) => (_file, _path, Count) = (file, path, count);

    public long Count { get; }

    /// <exception cref="BadInputException">It is not the one that the manifest vouches for.</exception>
    public static ShardTable Open(string folder, PreparedManifest manifest)
    {
        var path = Path.Combine(folder, FileName);
        if (FileSeen.At(path).Kind is FileKind.Missing or FileKind.Dangling)
        {
            throw new BadInputException($"'{path}' is not there.", PreparedSet.Again);
        }

        var file = RandomReadFile.Open(path, PreparedSet.Again);
        try
        {
            if (file.Length != manifest.Shards * ShardEntry.Bytes)
            {
                throw new BadInputException(
                    $"'{path}' has {file.Length:N0} bytes; with {manifest.Shards:N0} shards it has "
                        + $"{manifest.Shards * ShardEntry.Bytes:N0}.",
                    PreparedSet.Again);
            }

            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            for (long at = 0; at < file.Length; at += 1 << 20)
            {
                hash.AppendData(file.Read(at, (int)Math.Min(1 << 20, file.Length - at), PreparedSet.Again));
            }

            return Convert.ToHexStringLower(hash.GetHashAndReset()) == manifest.TableSha256 ? new ShardTable(file, path, manifest.Shards)
                : throw new BadInputException(
                    $"'{path}' is not the one that {PreparedManifest.FileName} was written for: its SHA-256 differs.",
                    PreparedSet.Again);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public ShardEntry this[long shard] => ShardEntry.Read(_file.Read(shard * ShardEntry.Bytes, ShardEntry.Bytes, PreparedSet.Again));

    /// <summary>The shard that a document lies in.</summary>
    public long ShardOf(long document)
    {
        var (low, high) = (0L, Count - 1);
        while (low < high)
        {
            var middle = low + ((high - low + 1) / 2);
            if (FirstOf(middle) <= document)
            {
                low = middle;
            }
            else
            {
                high = middle - 1;
            }
        }

        // Shards without a document begin where the next one does: the last of those is the one that has it.
        return low;
    }

    public void Dispose() => _file.Dispose();

    private long FirstOf(long shard) =>
        BinaryPrimitives.ReadInt64LittleEndian(_file.Read(shard * ShardEntry.Bytes, sizeof(long), PreparedSet.Again));
}
