using Microsoft.Win32.SafeHandles;

namespace DeepSeekOps.Recipes.Files;

/// <summary>
/// A file that a person named, open for reading. Only a regular file is opened, links followed: a named pipe or a device would never end.
/// It is opened without waiting and looked at again by its handle, so that what took its place in between is no way round this.
/// </summary>
public sealed class NamedFile : IDisposable
{
    private readonly SafeFileHandle _handle;

    private NamedFile(string path, SafeFileHandle handle, long length) => (Path, _handle, Length) = (path, handle, length);

    public string Path { get; }

    /// <summary>Bytes when it was opened, of the file itself where a link leads to it. Files in /proc say 0: read on to see.</summary>
    public long Length { get; }

    /// <exception cref="BadInputException">Something other than a file.</exception>
    /// <exception cref="FileNotFoundException">Nothing is there, or a link that leads nowhere.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not read it.</exception>
    /// <exception cref="IOException">The disk or network refused.</exception>
    public static NamedFile Open(string path)
    {
        Require(path, FileSeen.At(path));
        using var waiting = FileWait.At(path);
        if (!OperatingSystem.IsLinux())
        {
            var plain = File.OpenHandle(path);
            return new NamedFile(path, plain, RandomAccess.GetLength(plain));
        }

        var handle = PosixFiles.OpenForReading(path);
        var opened = FileSeen.Of(handle);
        if (opened.Kind != FileKind.Regular)
        {
            handle.Dispose();
            Require(path, opened);
        }

        return new NamedFile(path, handle, opened.Length);
    }

    /// <summary>The whole file; one that has more than <paramref name="most"/> bytes is refused without being read to its end.</summary>
    /// <exception cref="BadInputException">Something other than a file, or too much of it.</exception>
    public static byte[] ReadAll(string path, int most)
    {
        using var file = Open(path);
        var bytes = file.ReadBeginning(most, out var whole);
        LargeFilePointer.Refuse(bytes, path);
        return whole ? bytes : throw new BadInputException($"'{path}' has more than {most:N0} bytes.", "Is it the file that was meant?");
    }

    /// <summary>The whole file as text; the byte order mark that Windows tools write is no part of it.</summary>
    public static string ReadText(string path, int most)
    {
        using var text = new StreamReader(new MemoryStream(ReadAll(path, most)), detectEncodingFromByteOrderMarks: true);
        return text.ReadToEnd();
    }

    /// <summary>The first bytes, and whether they are all. What the file says of its length is a hint only.</summary>
    public byte[] ReadBeginning(int most, out bool whole)
    {
        var buffer = new byte[Math.Min(most + 1L, Math.Max(4096, Length + 1))];
        var read = 0;
        while (read <= most)
        {
            if (read == buffer.Length)
            {
                Array.Resize(ref buffer, (int)Math.Min(most + 1L, buffer.Length * 2L));
            }

            var got = Read(buffer.AsSpan(read), read);
            if (got == 0)
            {
                break;
            }

            read += got;
        }

        whole = read <= most;
        return buffer[..Math.Min(read, most)];
    }

    /// <returns>Bytes read; 0 at the end.</returns>
    public int Read(Span<byte> into, long at)
    {
        using var waiting = FileWait.At(Path);
        return RandomAccess.Read(_handle, into, at);
    }

    /// <summary>Bytes by the handle, now.</summary>
    internal long LengthNow => OperatingSystem.IsLinux() ? FileSeen.Of(_handle).Length : RandomAccess.GetLength(_handle);

    public void Dispose() => _handle.Dispose();

    private static void Require(string path, FileSeen seen)
    {
        if (seen.Kind != FileKind.Regular)
        {
            throw WhyNot(path, seen);
        }
    }

    /// <summary>Why what a path leads to is not read as a file.</summary>
    public static Exception WhyNot(string path, FileSeen seen) => seen.Kind switch
    {
        FileKind.Missing => new FileNotFoundException($"There is no file '{path}'.", path),
        FileKind.Dangling => new FileNotFoundException($"'{path}' is a link to '{seen.Target}', which is not there.", path),
        FileKind.Forbidden => new UnauthorizedAccessException($"This user may not read '{path}'."),
        FileKind.Unreachable => new IOException($"'{path}' cannot be reached: {seen.Target}."),
        _ => new BadInputException($"'{path}' is {seen.InWords}, not a file.",
            "Name a file: it is read more than once, and its size has to be known."),
    };
}
