namespace DeepSeekOps.Recipes.Files;

/// <summary>A file that a person named, from its beginning to its end, for who reads streams.</summary>
public sealed class NamedFileStream : Stream
{
    private readonly NamedFile _file;
    private long _at;

    /// <inheritdoc cref="NamedFile.Open"/>
    public NamedFileStream(string path) => _file = NamedFile.Open(path);

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => _at; set => throw new NotSupportedException(); }

    public override int Read(Span<byte> buffer)
    {
        var read = buffer.IsEmpty ? 0 : _file.Read(buffer, _at);
        _at += read;
        return read;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Flush()
    {
        // Nothing is written.
    }

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _file.Dispose();
        }

        base.Dispose(disposing);
    }
}
