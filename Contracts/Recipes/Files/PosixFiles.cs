using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace DeepSeekOps.Recipes.Files;

/// <param name="Error">0, or errno.</param>
internal readonly record struct PosixStatus(int Error, int Mode, long Length);

/// <summary>
/// Linux's calls by which a path is looked at without opening it. statx has one layout on every architecture, stat has not.
/// </summary>
internal static partial class PosixFiles
{
    public const int NoSuchFile = 2;
    public const int Forbidden = 13;
    public const int NotAFolder = 20;

    private const int OpenWithoutWaiting = 0x800; // O_NONBLOCK
    private const int CloseOnExec = 0x80000; // O_CLOEXEC
    private const int FromHere = -100; // AT_FDCWD
    private const int OfTheHandle = 0x1000; // AT_EMPTY_PATH
    private const uint TypeModeAndSize = 0x203;
    private const int StatusBytes = 256;
    private const int ModeAt = 28;
    private const int SizeAt = 40;

    public static PosixStatus Status(string path) => Status(FromHere, path, 0);

    public static PosixStatus Status(SafeFileHandle handle) => Status((int)handle.DangerousGetHandle(), "", OfTheHandle);

    public static SafeFileHandle OpenForReading(string path)
    {
        // Its flags ask for reading (0). A pipe that took the file's place is opened at once and refused by its kind.
        var descriptor = open(path, OpenWithoutWaiting | CloseOnExec);
        var error = Marshal.GetLastPInvokeError();
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw (error switch
            {
                NoSuchFile => new FileNotFoundException($"There is no file '{path}'.", path),
                Forbidden => new UnauthorizedAccessException($"This user may not read '{path}'."),
                _ => new IOException($"'{path}' cannot be opened: {InWords(error)}."),
            });
    }

    public static string InWords(int error) => Marshal.GetPInvokeErrorMessage(error);

    private static unsafe PosixStatus Status(int folder, string path, int flags)
    {
        var status = stackalloc byte[StatusBytes];
        if (statx(folder, path, flags, TypeModeAndSize, status) != 0)
        {
            return new PosixStatus(Marshal.GetLastPInvokeError(), 0, 0);
        }

        var bytes = new ReadOnlySpan<byte>(status, StatusBytes);
        return new PosixStatus(0, BitConverter.ToUInt16(bytes[ModeAt..]), BitConverter.ToInt64(bytes[SizeAt..]));
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static unsafe partial int statx(int folder, string path, int flags, uint mask, byte* status);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int open(string path, int flags);
}
