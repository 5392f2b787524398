using System.Runtime.InteropServices;

namespace DeepSeekOps.Worker.Agent;

/// <summary>The few calls of Linux that .NET has no words for.</summary>
internal static partial class Posix
{
    public const int SigKill = 9;

    private const int OpenWriteOnly = 1;
    private const int OpenAppend = 0x400;
    private const int PrSetParentDeathSignal = 1;

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

    /// <summary>Makes this process the leader of a session of its own, which all of its children then belong to.</summary>
    public static void BeginSession() => _ = SetSid();

    /// <summary>Standard input from nowhere, standard output and error to the end of a file: what starts us may close its own.</summary>
    public static void RedirectOutput(string file)
    {
        using var nothing = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.Read);
        using var log = File.OpenHandle(file, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite);
        _ = Dup2((int)nothing.DangerousGetHandle(), 0);
        int end = Open(file, OpenWriteOnly | OpenAppend, 0);
        _ = Dup2(end, 1);
        _ = Dup2(end, 2);
        _ = Close(end);
    }

    /// <summary>Ends the process without running anything more: no finalizer, no exit handler, no flush of a half-written file.</summary>
    public static void ExitNow(int code) => Exit(code);

    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    private static partial int PrCtl(int option, nuint a, nuint b, nuint c, nuint d);

    [LibraryImport("libc", EntryPoint = "getppid")]
    private static partial int GetParentPid();

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void Exit(int code);

    [LibraryImport("libc", EntryPoint = "setsid")]
    private static partial int SetSid();

    [LibraryImport("libc", EntryPoint = "dup2")]
    private static partial int Dup2(int from, int to);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int handle);
}
