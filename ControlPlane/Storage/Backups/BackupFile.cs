using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace DeepSeekOps.ControlPlane.Storage.Backups;

/// <summary>
/// A file of parts: a line that says what it is of, parts, and as the last part the manifest. A part is its name, blocks with their
/// lengths, a length of nothing, and the SHA-256 of all of that; so no byte of the file can change unseen, and where it is cut can be told.
/// </summary>
/// <param name="Of">The second word of its first line, and what it is called in refusals.</param>
/// <param name="Format">Of the layout; another one is refused.</param>
/// <param name="Written">By which command.</param>
/// <param name="Read">By which command.</param>
internal sealed record BackupFile(string Of, int Format, string Written, string Read)
{
    public const string ManifestName = "manifest";

    internal const int BlockMax = 1 << 20;
    internal const int NameMax = 64;
    private const int FormatDigits = 4;

    public static readonly BackupFile Whole = new("backup", 1, "dsops backup", "dsops restore");

    public static readonly BackupFile OneRun = new("run", 1, "dsops export --format archive", "dsops import");

    private string Beginning => $"dsops {Of} ";

    public byte[] FirstLine => Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Beginning}{Format}\n"));

    /// <summary>What each of its beginnings means, so that neither a newer format nor the other kind is called damaged.</summary>
    internal void DemandFirstLine(Stream file)
    {
        byte[] line = new byte[FirstLine.Length + FormatDigits];
        int length = file.ReadAtLeast(line, line.Length, throwOnEndOfStream: false);
        string text = Encoding.Latin1.GetString(line, 0, length);
        var other = this == Whole ? OneRun : Whole;
        if (text.StartsWith(other.Beginning, StringComparison.Ordinal))
        {
            throw new BackupUnusableException($"it is a {other.Of} that `{other.Written}` wrote", $"`{other.Read}` reads it.");
        }

        int end = text.IndexOf('\n', StringComparison.Ordinal);
        if (!text.StartsWith(Beginning, StringComparison.Ordinal) || end < 0
            || !int.TryParse(text[Beginning.Length..end], NumberStyles.None, CultureInfo.InvariantCulture, out int format))
        {
            throw new BackupUnusableException($"it is no {Of} of dsops, or its beginning was changed",
                $"Name a file that `{Written}` wrote.");
        }

        if (format != Format)
        {
            throw new BackupUnusableException($"it is of format {format}, and this dsops reads format {Format}",
                $"Use `{Read}` of the version of dsops that wrote it.");
        }

        file.Position = FirstLine.Length;
    }
}

/// <summary>Writes one part: what is written to it goes into blocks, and its end is written by <see cref="End"/>.</summary>
internal sealed class PartWriter : Stream
{
    private readonly Stream file;
    private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly byte[] block = ArrayPool<byte>.Shared.Rent(BackupFile.BlockMax);
    private int filled;
    private bool disposed;

    public PartWriter(Stream file, string name)
    {
        this.file = file;
        byte[] text = Encoding.ASCII.GetBytes(name);
        Put([(byte)text.Length]);
        Put(text);
    }

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    /// <returns>The part's SHA-256, hex.</returns>
    public string End()
    {
        PutBlock();
        Put(new byte[sizeof(uint)]);
        byte[] digest = hash.GetHashAndReset();
        file.Write(digest);
        return Convert.ToHexStringLower(digest);
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            int length = Math.Min(buffer.Length, BackupFile.BlockMax - filled);
            buffer[..length].CopyTo(block.AsSpan(filled));
            filled += length;
            buffer = buffer[length..];
            if (filled == BackupFile.BlockMax)
            {
                PutBlock();
            }
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
        // A block is written when it is full: those who compress into it flush at moments of their own.
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (!disposed)
        {
            disposed = true;
            hash.Dispose();
            ArrayPool<byte>.Shared.Return(block);
        }

        base.Dispose(disposing);
    }

    private void PutBlock()
    {
        if (filled > 0)
        {
            byte[] length = new byte[sizeof(uint)];
            BinaryPrimitives.WriteUInt32LittleEndian(length, (uint)filled);
            Put(length);
            Put(block.AsSpan(0, filled));
            filled = 0;
        }
    }

    private void Put(ReadOnlySpan<byte> bytes)
    {
        file.Write(bytes);
        hash.AppendData(bytes);
    }
}

/// <summary>Reads one part, and at its end compares it with its digest.</summary>
internal sealed class PartReader : Stream
{
    private readonly Stream file;
    private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly byte[] block = ArrayPool<byte>.Shared.Rent(BackupFile.BlockMax);
    private readonly string which;
    private int at;
    private int filled;
    private bool ended;
    private bool disposed;

    /// <param name="before">The part that was read before it, for the words of a failure.</param>
    public PartReader(Stream file, string before)
    {
        this.file = file;
        byte[] length = new byte[1];
        if (file.Read(length) == 0)
        {
            throw new BackupUnusableException($"it ends after {before}: what follows there is missing, it was cut off",
                BackupReader.Another);
        }

        which = $"the part after {before}";
        if (length[0] is 0 or > BackupFile.NameMax)
        {
            throw Changed();
        }

        byte[] name = new byte[length[0]];
        Fill(name);
        hash.AppendData(length);
        hash.AppendData(name);
        if (!Array.TrueForAll(name, b => b is (>= (byte)'a' and <= (byte)'z') or (byte)'_'))
        {
            throw Changed();
        }

        Name = Encoding.ASCII.GetString(name);
        which = $"its part {Name}";
    }

    public string Name { get; } = "";

    /// <summary>Of the part, once it was read to its end.</summary>
    public string Digest { get; private set; } = "";

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override int Read(Span<byte> buffer)
    {
        if (at == filled && !ended)
        {
            Next();
        }

        int length = Math.Min(buffer.Length, filled - at);
        block.AsSpan(at, length).CopyTo(buffer);
        at += length;
        return length;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <summary>Whatever is left, so that the file stands at what follows the part.</summary>
    public void ReadToEnd(CancellationToken cancellation)
    {
        while (!ended)
        {
            cancellation.ThrowIfCancellationRequested();
            Next();
        }
    }

    public override void Flush()
    {
        // Nothing is written.
    }

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    internal BackupUnusableException Changed(Exception? inner = null) =>
        new($"{which} is not as it was written", BackupReader.Another, inner);

    protected override void Dispose(bool disposing)
    {
        if (!disposed)
        {
            disposed = true;
            hash.Dispose();
            ArrayPool<byte>.Shared.Return(block);
        }

        base.Dispose(disposing);
    }

    private void Next()
    {
        byte[] length = new byte[sizeof(uint)];
        Fill(length);
        hash.AppendData(length);
        uint bytes = BinaryPrimitives.ReadUInt32LittleEndian(length);
        if (bytes > BackupFile.BlockMax)
        {
            throw Changed();
        }

        (at, filled) = (0, (int)bytes);
        if (bytes > 0)
        {
            Fill(block.AsSpan(0, filled));
            hash.AppendData(block, 0, filled);
            return;
        }

        byte[] digest = new byte[SHA256.HashSizeInBytes];
        Fill(digest);
        ended = true;
        if (!CryptographicOperations.FixedTimeEquals(digest, hash.GetHashAndReset()))
        {
            throw Changed();
        }

        Digest = Convert.ToHexStringLower(digest);
    }

    private void Fill(Span<byte> bytes)
    {
        if (file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) < bytes.Length)
        {
            throw new BackupUnusableException($"it ends within {which}: it was cut off, or the part was changed",
                BackupReader.Another);
        }
    }
}
