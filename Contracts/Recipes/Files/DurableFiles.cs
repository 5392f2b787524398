using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace DeepSeekOps.Recipes.Files;

/// <summary>
/// Brings files and the names in a folder to the disk, and says where that failed. .NET's own way (<see cref="RandomAccess.FlushToDisk"/>,
/// <see cref="FileStream.Flush(bool)"/>) does not: of an fsync that the kernel answered with EIO or ENOSPC it says nothing (10.0), and a
/// network file system or a disk that defers its writes tells a full disk there and nowhere else.
/// </summary>
public static partial class DurableFiles
{
    private const int Invalid = 22;
    private const int NotSupported = 95;
    private const int Folder = 0x10000 | 0x80000; // O_DIRECTORY | O_CLOEXEC

    /// <exception cref="IOException">What was written may not be there after a power cut; HResult is errno.</exception>
    public static void Sync(FileStream file)
    {
        file.Flush();
        Sync(file.SafeFileHandle, file.Name);
    }

    /// <param name="path">For the words of an error.</param>
    /// <exception cref="IOException">What was written may not be there after a power cut; HResult is errno.</exception>
    public static void Sync(SafeFileHandle file, string path)
    {
        if (!OperatingSystem.IsLinux())
        {
#pragma warning disable RS0030 // Where there is no fsync by that name.
            RandomAccess.FlushToDisk(file);
#pragma warning restore RS0030
        }
        else if (fsync(file) != 0)
        {
            Check(Marshal.GetLastPInvokeError(), path);
        }
    }

    /// <summary>After a rename: fsync of the file alone does not outlive a power loss.</summary>
    /// <exception cref="IOException">A name may not be there after a power cut; HResult is errno.</exception>
    public static void SyncFolder(string folder)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        int descriptor = open(folder, Folder);
        if (descriptor < 0)
        {
            Check(Marshal.GetLastPInvokeError(), folder);
            return;
        }

        using var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        Sync(handle, folder);
    }

    /// <summary>A file system, or a special file, that knows no such call keeps what it has as it does.</summary>
    private static void Check(int error, string path)
    {
        if (error is not (Invalid or NotSupported))
        {
            throw new IOException($"'{path}' cannot be brought to the disk: {PosixFiles.InWords(error)}", error);
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int fsync(SafeFileHandle file);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int open(string path, int flags);
}
