namespace DeepSeekOps.Recipes.Files;

/// <summary>
/// A file of which a little is read here and there. Read, and not mapped: what was touched of a mapped file counts as the process's memory,
/// and a page that a network mount cannot bring ends the process; this says so (docs/decisions/0059).
/// </summary>
public sealed class RandomReadFile : IDisposable
{
    /// <summary>Longer reads have a buffer of their own, so that one long document does not stay in memory.</summary>
    private const int Kept = 1 << 20;

    [ThreadStatic]
    private static byte[]? buffer;

    private readonly NamedFile _file;

    private RandomReadFile(NamedFile file) => _file = file;

    public long Length => _file.Length;

    /// <exception cref="BadInputException">It is no file, or is empty.</exception>
    /// <exception cref="IOException">It cannot be read here.</exception>
    public static RandomReadFile Open(string path, string fix)
    {
        var file = NamedFile.Open(path);
        if (file.Length > 0)
        {
            return new RandomReadFile(file);
        }

        file.Dispose();
        throw new BadInputException($"'{path}' has no bytes.", fix);
    }

    /// <returns>They stand until the same thread reads again, from whatever file.</returns>
    /// <exception cref="BadInputException">The file does not reach so far, or no longer does.</exception>
    /// <exception cref="IOException">The disk or the mount does not give them.</exception>
    public ReadOnlySpan<byte> Read(long offset, int length, string fix)
    {
        if (offset < 0 || length < 0 || offset > Length - length)
        {
            throw new BadInputException($"'{_file.Path}' has {Length:N0} bytes; {length:N0} are looked for at {offset:N0}.", fix);
        }

        var into = (length <= Kept ? buffer ??= new byte[Kept] : new byte[length]).AsSpan(0, length);
        for (var read = 0; read < length;)
        {
            var got = _file.Read(into[read..], offset + read);
            read += got > 0 ? got : throw new BadInputException(
                $"'{_file.Path}' became shorter while it was read: it had {Length:N0} bytes and has {_file.LengthNow:N0}.", fix);
        }

        return into;
    }

    public void Dispose() => _file.Dispose();
}
