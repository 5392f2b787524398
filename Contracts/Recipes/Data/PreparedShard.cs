using System.Buffers.Binary;
using System.Runtime.InteropServices;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.Recipes.Data;

/// <summary>The first bytes of a shard. Numbers are little-endian.</summary>
/// <param name="PlanSha256">Of the plan by which it was made: `prepare` knows its own by it.</param>
/// <param name="Sha256">Of all that follows the header.</param>
public sealed record ShardHeader(
    int IdBytes, long Number, long Documents, long Tokens, long TextBytes, ReadOnlyMemory<byte> PlanSha256, ReadOnlyMemory<byte> Sha256)
{
    public const int Bytes = 128;
    private const int Format = 1;

    private static ReadOnlySpan<byte> Magic => "DSOPSIDS"u8;

    /// <summary>Where the index begins: tokens are followed by zeros up to a multiple of 8.</summary>
    public long IndexAt => Bytes + (((Tokens * IdBytes) + 7) / 8 * 8);

    /// <summary>The index has where each document begins, in tokens, and where the last one ends.</summary>
    public long FileBytes => IndexAt + (8 * (Documents + 1));

    public byte[] ToBytes()
    {
        var bytes = new byte[Bytes];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), Format);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), IdBytes);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), Number);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(24), Documents);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(32), Tokens);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(40), TextBytes);
        PlanSha256.Span.CopyTo(bytes.AsSpan(48));
        Sha256.Span.CopyTo(bytes.AsSpan(80));
        return bytes;
    }

    /// <returns>Null: it is no shard's.</returns>
    public static ShardHeader? Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < Bytes || !bytes.StartsWith(Magic) || BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]) != Format)
        {
            return null;
        }

        var header = new ShardHeader(
            BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]), BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]), BinaryPrimitives.ReadInt64LittleEndian(bytes[32..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[40..]), bytes[48..80].ToArray(), bytes[80..112].ToArray());
        // Far below what 64 bits hold, so that sizes can be reckoned with.
        return header is { IdBytes: 2 or 4, Number: >= 0, Documents: >= 0 and < 1L << 48, Tokens: >= 0 and < 1L << 48, TextBytes: >= 0 }
            ? header : null;
    }

    /// <summary>Of a shard file; null where it is none, or not of the size that it says.</summary>
    public static ShardHeader? OfWhole(string path)
    {
        if (FileSeen.At(path) is not { Kind: FileKind.Regular, Length: >= Bytes } seen)
        {
            return null;
        }

        using var file = NamedFile.Open(path);
        return Read(file.ReadBeginning(Bytes, out _)) is { } header && header.FileBytes == seen.Length ? header : null;
    }
}

/// <summary>A shard: token ids of documents, and where each begins.</summary>
public sealed class PreparedShard : IDisposable
{
    private readonly RandomReadFile _file;
    private readonly ShardHeader _header;
    private readonly string _path;

    private PreparedShard(RandomReadFile file, ShardHeader header, string path) => (_file, _header, _path) = (file, header, path);

    /// <exception cref="BadInputException">It is not the shard that the table speaks of.</exception>
    public static PreparedShard Open(string path, long number, ShardEntry expected, int idBytes)
    {
        if (FileSeen.At(path).Kind is FileKind.Missing or FileKind.Dangling)
        {
            throw new BadInputException($"The shard '{path}' is not there.", PreparedSet.Again);
        }

        var file = RandomReadFile.Open(path, PreparedSet.Again);
        try
        {
            var header = file.Length < ShardHeader.Bytes ? null : ShardHeader.Read(file.Read(0, ShardHeader.Bytes, PreparedSet.Again));
            if (header is null)
            {
                throw new BadInputException(
                    $"'{path}' is no shard of a prepared set: its first {ShardHeader.Bytes} bytes say something else.",
                    PreparedSet.Again);
            }

            if (header.Number != number || header.Documents != expected.Documents || header.Tokens != expected.Tokens
                || header.IdBytes != idBytes || !header.Sha256.Span.SequenceEqual(expected.Sha256.Span))
            {
                throw new BadInputException($"'{path}' is not the shard that {ShardTable.FileName} lists as number {number}.",
                    PreparedSet.Again);
            }

            return header.FileBytes == file.Length ? new PreparedShard(file, header, path) : throw new BadInputException(
                $"'{path}' has {file.Length:N0} bytes; with {header.Documents:N0} documents it has {header.FileBytes:N0}.",
                PreparedSet.Again);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Tokens of a document, from the index alone.</summary>
    public int Length(long document) => (int)Place(document).Count;

    /// <exception cref="BadInputException">The index or an id is not what it can be.</exception>
    public int[] Tokens(long document, int vocabSize)
    {
        var (begin, count) = Place(document);
        var bytes = _file.Read(ShardHeader.Bytes + (begin * _header.IdBytes), (int)count * _header.IdBytes, PreparedSet.Again);
        var ids = new int[count];
        if (_header.IdBytes == 2)
        {
            var narrow = MemoryMarshal.Cast<byte, ushort>(bytes);
            for (var i = 0; i < ids.Length; i++)
            {
                ids[i] = narrow[i];
            }
        }
        else
        {
            MemoryMarshal.Cast<byte, int>(bytes).CopyTo(ids);
        }

        foreach (var id in ids)
        {
            if ((uint)id >= (uint)vocabSize)
            {
                throw new BadInputException($"'{_path}', document {document}, has the token {id}; the tokenizer has {vocabSize} ids.",
                    PreparedSet.Again);
            }
        }

        return ids;
    }

    public void Dispose() => _file.Dispose();

    private (long Begin, long Count) Place(long document)
    {
        if (document < 0 || document >= _header.Documents)
        {
            throw new ArgumentOutOfRangeException(nameof(document), document, $"{_path} has {_header.Documents}.");
        }

        var index = _file.Read(_header.IndexAt + (8 * document), 16, PreparedSet.Again);
        var (begin, end) = (BinaryPrimitives.ReadInt64LittleEndian(index), BinaryPrimitives.ReadInt64LittleEndian(index[8..]));
        // A line has at most 64 MB, and no tokenizer here makes more tokens of it than it has bytes and marks of normalising.
        return begin >= 0 && end >= begin && end <= _header.Tokens && end - begin <= PreparedSet.DocumentTokensMax ? (begin, end - begin)
            : throw new BadInputException($"'{_path}': the index has document {document} from token {begin} to {end} of {_header.Tokens}.",
                PreparedSet.Again);
    }
}
