using System.Runtime.InteropServices;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>Makes the names in a folder durable: after a rename, fsync of the file alone does not outlive a power loss.</summary>
internal static partial class FolderSync
{
    private const int ReadOnlyFolder = 0x10000;

    public static void Flush(string folder)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }
        var descriptor = Open(folder, ReadOnlyFolder);
        if (descriptor < 0)
        {
            throw new IOException($"{folder} cannot be opened to be synced (errno {Marshal.GetLastPInvokeError()}).");
        }
        _ = Sync(descriptor);
        _ = Close(descriptor);
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Sync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
