using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace DeepSeekOps.Worker.Data;

/// <summary>
/// Bytes in memory under a path of this process, for a library that reads files only: exactly what was checked, and no disk.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed partial class MemoryFile : IDisposable
{
    private const uint CloseOnExec = 1;

    private readonly SafeFileHandle _handle;

    public MemoryFile(ReadOnlySpan<byte> content)
    {
        var descriptor = MemfdCreate("dsops", CloseOnExec);
        _handle = descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw new IOException($"No file can be made in memory: {Marshal.GetLastPInvokeErrorMessage()}.");
        RandomAccess.Write(_handle, content, 0);
    }

    public string Path => $"/proc/self/fd/{_handle.DangerousGetHandle()}";

    public void Dispose() => _handle.Dispose();

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MemfdCreate(string name, uint flags);
}
