using System.Runtime.InteropServices;

namespace DeepSeekOps.Worker.Safetensors;

/// <summary>
/// Asks the disk to begin with what has been written so far, and waits for nothing: the sync at the end finds it done. By itself the kernel
/// begins when a tenth of the memory is unwritten, which on a large machine is never.
/// </summary>
internal static partial class EarlyWriteback
{
    private const uint Write = 2; // SYNC_FILE_RANGE_WRITE

    public static void Begin(FileStream file)
    {
        if (OperatingSystem.IsLinux())
        {
            // 0 bytes: to the end. What goes wrong shows in the sync at the end.
            _ = SyncRange(file.SafeFileHandle, 0, 0, Write);
        }
    }

    [LibraryImport("libc", EntryPoint = "sync_file_range")]
    private static partial int SyncRange(SafeHandle file, long offset, long bytes, uint flags);
}
