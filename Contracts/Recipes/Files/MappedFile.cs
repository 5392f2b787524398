using System.IO.MemoryMappedFiles;

namespace DeepSeekOps.Recipes.Files;

/// <summary>
/// A file that is read where it lies: what is touched is in the page cache, which all processes of a machine share, and nothing is copied
/// when it is opened. What lies beyond the end of a file that became shorter ends the process: so its length is asked for at each look.
/// </summary>
public sealed unsafe class MappedFile : IDisposable
{
    private readonly NamedFile _file;
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _at;

    private MappedFile(NamedFile file, MemoryMappedFile map, MemoryMappedViewAccessor view)
    {
        (_file, _map, _view) = (file, map, view);
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref _at);
        _at += view.PointerOffset;
    }

    public long Length => _file.Length;

    /// <exception cref="BadInputException">It is no file, or is empty.</exception>
    /// <exception cref="IOException">It cannot be read here.</exception>
    public static MappedFile Open(string path, string fix)
    {
        var file = NamedFile.Open(path);
        MemoryMappedFile? map = null;
        try
        {
            if (file.Length == 0)
            {
                throw new BadInputException($"'{path}' has no bytes.", fix);
            }

            map = file.Map();
            return new MappedFile(file, map, map.CreateViewAccessor(0, file.Length, MemoryMappedFileAccess.Read));
        }
        catch
        {
            map?.Dispose();
            file.Dispose();
            throw;
        }
    }

    /// <exception cref="BadInputException">The file does not reach so far, or no longer does.</exception>
    public ReadOnlySpan<byte> Span(long offset, int length, string fix)
    {
        if (offset < 0 || length < 0 || offset > Length - length)
        {
            throw new BadInputException($"'{_file.Path}' has {Length:N0} bytes; {length:N0} are looked for at {offset:N0}.", fix);
        }

        return _file.LengthNow is var now && now >= Length ? new ReadOnlySpan<byte>(_at + offset, length)
            : throw new BadInputException(
                $"'{_file.Path}' became shorter while it was read: it had {Length:N0} bytes and has {now:N0}.", fix);
    }

    public void Dispose()
    {
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _map.Dispose();
        _file.Dispose();
    }
}
