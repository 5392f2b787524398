using Microsoft.Win32.SafeHandles;

namespace DeepSeekOps.Recipes.Files;

public enum FileKind
{
    Missing,
    Dangling,
    Forbidden,
    Unreachable,
    Regular,
    Folder,
    Pipe,
    Socket,
    Device,
}

/// <summary>What a path leads to, links followed. Looking opens nothing.</summary>
/// <param name="Length">Of a regular file.</param>
/// <param name="Target">Where a dangling link leads; why a path cannot be reached.</param>
public readonly record struct FileSeen(FileKind Kind, long Length = 0, string Target = "")
{
    private const int TypeMask = 0xF000;

    public string InWords => Kind switch
    {
        FileKind.Folder => "a folder",
        FileKind.Pipe => "a named pipe",
        FileKind.Socket => "a socket",
        FileKind.Device => "a device",
        _ => "no file",
    };

    /// <summary>Rights, the disk or the network kept it from being looked at: nothing is known of what is there.</summary>
    public bool IsUnknown => Kind is FileKind.Forbidden or FileKind.Unreachable;

    public static bool IsRegular(string path) => At(path).Kind == FileKind.Regular;

    public static FileSeen At(string path)
    {
        if (path.Length == 0 || path.Contains('\0', StringComparison.Ordinal))
        {
            return new FileSeen(FileKind.Missing);
        }

        using var waiting = FileWait.At(path);
        return OperatingSystem.IsLinux() ? FromPosix(PosixFiles.Status(path), path)
            : File.Exists(path) ? new FileSeen(FileKind.Regular, new FileInfo(path).Length)
            : new FileSeen(Directory.Exists(path) ? FileKind.Folder : FileKind.Missing);
    }

    internal static FileSeen Of(SafeFileHandle handle) => FromPosix(PosixFiles.Status(handle), "");

    private static FileSeen FromPosix(PosixStatus status, string path) => status.Error switch
    {
        0 => new FileSeen((status.Mode & TypeMask) switch
        {
            0x8000 => FileKind.Regular,
            0x4000 => FileKind.Folder,
            0x1000 => FileKind.Pipe,
            0xC000 => FileKind.Socket,
            _ => FileKind.Device,
        }, status.Length),
        PosixFiles.NoSuchFile or PosixFiles.NotAFolder => new FileInfo(path).LinkTarget is { } target
            ? new FileSeen(FileKind.Dangling, 0, target) : new FileSeen(FileKind.Missing),
        PosixFiles.Forbidden => new FileSeen(FileKind.Forbidden),
        var other => new FileSeen(FileKind.Unreachable, 0, PosixFiles.InWords(other)),
    };
}
