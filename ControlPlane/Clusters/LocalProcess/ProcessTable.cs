using System.Buffers.Text;
using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.InteropServices;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>A process for certain: pids come again, a pid with its start time and boot does not.</summary>
/// <param name="StartTicks">Field 22 of /proc/PID/stat: clock ticks since boot.</param>
/// <param name="Boot">/proc/sys/kernel/random/boot_id.</param>
internal sealed record ProcessIdentity(int Pid, long StartTicks, string Boot);

internal enum Life
{
    Gone,
    Runs,

    /// <summary>SIGSTOP, or a debugger holds it.</summary>
    Halted,
}

/// <summary>What /proc says of processes, and signals to them.</summary>
internal static partial class ProcessTable
{
    public const int SigKill = 9;
    public const int SigUsr1 = 10;
    public const int SigTerm = 15;

    private const int NoHang = 1;

    /// <summary>Of /proc/PID/stat: 52 numbers of at most 20 digits, and a name of 15 bytes or, of a kernel thread, 63.</summary>
    private const int StatBytesMost = 2048;

    /// <summary>PF_KTHREAD among the flags of /proc/PID/stat.</summary>
    private const uint KernelThread = 0x0020_0000;

    public static string Boot { get; } = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    public static ProcessIdentity? Identify(int pid) =>
        Read(pid) is { Alive: true } p ? new ProcessIdentity(pid, p.StartTicks, Boot) : null;

    /// <summary>False for a process that is gone, for another one under its pid, and for one that only waits to be reaped.</summary>
    public static bool Alive(ProcessIdentity process) => Look(process) is not Life.Gone;

    /// <summary>Of hundreds of processes each look counts: one read says it all.</summary>
    public static Life Look(ProcessIdentity process) =>
        process.Boot == Boot && Read(process.Pid) is { Alive: true } p && p.StartTicks == process.StartTicks
            ? p.Halted ? Life.Halted : Life.Runs : Life.Gone;

    /// <summary>
    /// The agent, and all that live in the session it leads: its ranks, also when the agent itself is gone. The kernel does not
    /// give a pid away again while a session has its number, so nothing else can be in it unless it began before the agent did.
    /// </summary>
    public static ImmutableArray<ProcessIdentity> SessionOf(ProcessIdentity agent) => agent.Boot != Boot
        ? []
        : [.. Pids().Select(pid => (Pid: pid, Stat: Read(pid)))
            .Where(p => p.Stat is { Alive: true } s && s.StartTicks >= agent.StartTicks
                && (s.Session == agent.Pid || (p.Pid == agent.Pid && s.StartTicks == agent.StartTicks)))
            .Select(p => new ProcessIdentity(p.Pid, p.Stat!.Value.StartTicks, Boot))];

    /// <summary>Processes whose command line has this argument.</summary>
    public static ImmutableArray<ProcessIdentity> WithArgument(string argument) =>
        [.. Pids().Where(pid => CommandLine(pid).Contains(argument, StringComparer.Ordinal)).Select(Identify).OfType<ProcessIdentity>()];

    public static void Signal(ProcessIdentity process, int signal)
    {
        if (Alive(process))
        {
            _ = Kill(process.Pid, signal);
        }
    }

    /// <summary>Where we are the init of a container, orphans come to us and nobody else reaps them. Elsewhere it does nothing.</summary>
    public static void Reap(ProcessIdentity process) => _ = WaitPid(process.Pid, out _, NoHang);

    private static IEnumerable<int> Pids() => Directory.EnumerateDirectories("/proc")
        .Select(d => int.TryParse(Path.GetFileName(d), NumberStyles.None, CultureInfo.InvariantCulture, out int pid) ? pid : 0)
        .Where(pid => pid > 0);

    /// <summary>
    /// Empty for a kernel thread, for a zombie, and, for an instant, for a process between two programs: exec shows the new
    /// memory before its arguments lie in it. That instant is waited out, or an agent that starts would not be found.
    /// </summary>
    private static string[] CommandLine(int pid)
    {
        var wait = new SpinWait();
        for (int look = 0; look < 50; look++)
        {
            string text;
            try
            {
                text = File.ReadAllText($"/proc/{pid}/cmdline");
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return [];
            }

            if (text.Length > 0 || Read(pid) is not { Alive: true, Kernel: false })
            {
                return text.Split('\0');
            }

            wait.SpinOnce();
        }

        return [];
    }

    private static (bool Alive, bool Halted, bool Kernel, int Session, long StartTicks)? Read(int pid)
    {
        Span<byte> bytes = stackalloc byte[StatBytesMost];
        try
        {
            using var file = File.OpenHandle($"/proc/{pid}/stat");
            bytes = bytes[..RandomAccess.Read(file, bytes, 0)];
        }
        // A process that ends while its file is read gives ESRCH, which is an IOException too.
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }

        // "pid (name) state ppid pgrp session ...": the name may hold spaces and brackets.
        if (bytes.IsEmpty)
        {
            return null;
        }

        ReadOnlySpan<byte> rest = bytes[(bytes.LastIndexOf((byte)')') + 2)..];
        byte state = rest[0];
        return (state is not ((byte)'Z' or (byte)'X'), state is (byte)'T' or (byte)'t', ((uint)Field(rest, 6) & KernelThread) != 0,
            (int)Field(rest, 3), Field(rest, 19));
    }

    /// <summary>A number of those that spaces part.</summary>
    private static long Field(ReadOnlySpan<byte> fields, int number)
    {
        for (; number > 0; number--)
        {
            fields = fields[(fields.IndexOf((byte)' ') + 1)..];
        }

        return Utf8Parser.TryParse(fields, out long value, out _) ? value : 0;
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int pid, int signal);

    [LibraryImport("libc", EntryPoint = "waitpid")]
    private static partial int WaitPid(int pid, out int status, int options);
}
