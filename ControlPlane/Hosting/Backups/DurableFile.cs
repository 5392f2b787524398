using System.Runtime.InteropServices;

namespace DeepSeekOps.ControlPlane.Hosting.Backups;

/// <summary>A file that is there in whole or not at all, also after a power cut: written aside, synced, and given its name.</summary>
internal static partial class DurableFile
{
    private const int ReadOnly = 0;

    public static string Aside(string path) => Path.Combine(
        Path.GetDirectoryName(path) ?? ".", FormattableString.Invariant($".{Path.GetFileName(path)}.{Environment.ProcessId}.tmp"));

    /// <summary>Pipelines, logs and digests of tokens are for nobody but the file's owner, whatever umask the shell had.</summary>
    public static FileStream Create(string aside)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite, BufferSize = 1 << 16 };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return new FileStream(aside, options);
    }

    /// <exception cref="IOException">There is a file of that name.</exception>
    public static void Finish(string aside, string path)
    {
        using (var written = File.OpenHandle(aside, FileMode.Open, FileAccess.ReadWrite))
        {
            RandomAccess.FlushToDisk(written);
        }

        File.Move(aside, path, overwrite: false);
        SyncFolder(Path.GetDirectoryName(path) ?? ".");
    }

    /// <summary>The new name itself; a file system that has no such call keeps names as it does.</summary>
    private static void SyncFolder(string folder)
    {
        if (OperatingSystem.IsLinux() && Open(folder, ReadOnly) is var handle and >= 0)
        {
            _ = Sync(handle);
            _ = Close(handle);
        }
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int Sync(int handle);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int handle);
}
