using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace DeepSeekOps.Worker.Agent;

/// <summary>The few calls of Linux that .NET has no words for.</summary>
internal static partial class Posix
{
    public const int SigKill = 9;

    private const int PrSetParentDeathSignal = 1;
    private const uint MfdCloseOnExec = 1;
    private const int DontNeed = 4;

    /// <summary>The kernel has stopped it: SIGSTOP, a terminal, or a debugger that holds it.</summary>
    public static bool IsHalted(int pid)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{pid}/stat");
            // "pid (name) state …": the name may hold spaces and brackets.
            return stat.LastIndexOf(')') is > 0 and var end && stat.Length > end + 2 && stat[end + 2] is 'T' or 't';
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>
    /// Has the kernel kill this process when the thread that started it ends. Call it on the main thread: the wish is forgotten
    /// with the thread that made it. False where that has happened already.
    /// </summary>
    public static bool DieWithParent(int parentPid)
    {
        _ = PrCtl(PrSetParentDeathSignal, SigKill, 0, 0, 0);
        // The parent may have died before the call; then we have been given to another process.
        return GetParentPid() == parentPid;
    }

    /// <summary>This thread runs where nobody else wants to: nice 19, of this thread alone.</summary>
    public static void GiveWay() => _ = SetPriority(0, 0, 19);

    /// <summary>What of a file lies in memory is let go: the next read is of the disk.</summary>
    public static void Forget(SafeFileHandle file) => _ = FileAdvise(file, 0, 0, DontNeed);

    /// <summary>Makes this process the leader of a session of its own, which all of its children then belong to.</summary>
    public static void BeginSession() => _ = SetSid();

    /// <summary>
    /// Memory that lives for as long as somebody holds it open: it is in no folder, and needs nobody to clear it up. Whoever may look at
    /// this process reaches it under <see cref="PathOf"/>.
    /// </summary>
    /// <exception cref="IOException">There is none to be had.</exception>
    public static SafeFileHandle NewMemory(string name)
    {
        int descriptor = MemFdCreate(name, MfdCloseOnExec);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw new IOException($"no memory to keep states in: error {Marshal.GetLastPInvokeError()}");
    }

    /// <summary>Where other processes of the same user open it.</summary>
    public static string PathOf(SafeFileHandle held) =>
        string.Create(CultureInfo.InvariantCulture, $"/proc/{Environment.ProcessId}/fd/{held.DangerousGetHandle()}");

    /// <summary>Ends the process without running anything more: no finalizer, no exit handler, no flush of a half-written file.</summary>
    public static void ExitNow(int code) => Exit(code);

    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    private static partial int PrCtl(int option, nuint a, nuint b, nuint c, nuint d);

    [LibraryImport("libc", EntryPoint = "getppid")]
    private static partial int GetParentPid();

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void Exit(int code);

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MemFdCreate(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "setpriority")]
    private static partial int SetPriority(int which, uint who, int priority);

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    private static partial int FileAdvise(SafeFileHandle file, long offset, long length, int advice);

    [LibraryImport("libc", EntryPoint = "setsid")]
    private static partial int SetSid();
}
