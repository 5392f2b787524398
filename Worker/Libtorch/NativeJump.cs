using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace DeepSeekOps.Worker.Libtorch;

/// <summary>Lets a function of ours take the place of one that a loaded library exports.</summary>
[SupportedOSPlatform("linux")]
internal static unsafe class NativeJump
{
    private const int ReadWriteExecute = 7, ReadExecute = 5;

    /// <summary>
    /// The function's first bytes become a jump. It has to be longer than that (13 bytes), and nothing may jump into its beginning.
    /// False: this is no x86-64, the library has no such function, or the system forbids it.
    /// </summary>
    public static bool Place(nint library, string function, nint target)
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64 || !NativeLibrary.TryGetExport(library, function, out var code))
        {
            return false;
        }
        // mov r11, address; jmp r11.
        Span<byte> jump = [0x49, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x41, 0xff, 0xe3];
        BitConverter.TryWriteBytes(jump[2..], target);
        var page = code & ~(nint)(Environment.SystemPageSize - 1);
        var length = code + jump.Length - page;
        if (mprotect(page, length, ReadWriteExecute) != 0)
        {
            return false;
        }
        jump.CopyTo(new Span<byte>((void*)code, jump.Length));
        return mprotect(page, length, ReadExecute) == 0;
    }

    [DllImport("libc"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int mprotect(nint address, nint length, int protection);
}
