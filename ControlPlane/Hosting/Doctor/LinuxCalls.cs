using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace DeepSeekOps.ControlPlane.Hosting.Doctor;

/// <summary>What .NET does not tell of files, file systems and clocks. Null everywhere else than on 64-bit Linux.</summary>
internal static partial class LinuxCalls
{
    private const int WriteOk = 2, ExecuteOk = 1;

    /// <summary>struct statx is the same on all architectures (linux/stat.h).</summary>
    private const int StatxBytes = 256, StatxUid = 20, StatxMode = 28, StatxBasic = 0x7ff, CurrentFolder = -100;

    /// <summary>struct statvfs of 64-bit glibc and musl.</summary>
    private const int StatvfsBytes = 112;

    private const ulong ReadOnlyFlag = 1;

    /// <summary>struct timex of 64-bit Linux (linux/timex.h); modes 0 changes nothing.</summary>
    private const int TimexBytes = 208, TimexErrorMax = 24, TimexStatus = 40, Unsynchronised = 0x40, TimeError = 5;

    /// <summary>/etc/passwd; more is a directory service's.</summary>
    private const int UsersMax = 10_000;

    private static bool Here => OperatingSystem.IsLinux() && nint.Size == 8;

    /// <summary>"ops (1000)"; null: not known.</summary>
    public static string User => Here ? NameOf(Geteuid()) : Environment.UserName;

    public static (string Owner, int Mode)? Stat(string path)
    {
        byte[] told = new byte[StatxBytes];
        if (!Here || Statx(CurrentFolder, path, 0, StatxBasic, told) != 0)
        {
            return null;
        }

        return (NameOf(BinaryPrimitives.ReadUInt32LittleEndian(told.AsSpan(StatxUid))),
            BinaryPrimitives.ReadUInt16LittleEndian(told.AsSpan(StatxMode)) & 0b111_111_111_111);
    }

    public static FileSystemSeen? FileSystem(string path)
    {
        byte[] told = new byte[StatvfsBytes];
        if (!Here || Statvfs(path, told) != 0)
        {
            return null;
        }

        ulong At(int index) => BinaryPrimitives.ReadUInt64LittleEndian(told.AsSpan(index * 8));
        ulong block = At(1);
        return new FileSystemSeen((long)(block * At(2)), (long)(block * At(4)), (long)At(5), (long)At(7), (At(9) & ReadOnlyFlag) != 0);
    }

    /// <summary>Why files cannot be made in a folder; empty: they can.</summary>
    public static string Unwritable(string folder) =>
        !Here || Access(folder, WriteOk | ExecuteOk) == 0 ? "" : Marshal.GetLastPInvokeErrorMessage();

    /// <summary>Null: the kernel does not tell, as in containers that forbid to ask.</summary>
    public static (bool Synchronised, TimeSpan ErrorMax)? Clock()
    {
        byte[] told = new byte[TimexBytes];
        int state = Here ? Adjtimex(told) : -1;
        return state < 0 ? null
            : (state != TimeError && (BinaryPrimitives.ReadInt32LittleEndian(told.AsSpan(TimexStatus)) & Unsynchronised) == 0,
                TimeSpan.FromMicroseconds(BinaryPrimitives.ReadInt64LittleEndian(told.AsSpan(TimexErrorMax))));
    }

    private static string NameOf(uint id)
    {
        try
        {
            string number = id.ToString(System.Globalization.CultureInfo.InvariantCulture);
            string? name = File.ReadLines("/etc/passwd").Take(UsersMax).Select(line => line.Split(':'))
                .Where(parts => parts.Length > 2 && parts[2] == number).Select(parts => parts[0]).FirstOrDefault();
            return name ?? number;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return id.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }
    }

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint Geteuid();

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Statx(int folder, string path, int flags, uint mask, [Out] byte[] told);

    [LibraryImport("libc", EntryPoint = "statvfs", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Statvfs(string path, [Out] byte[] told);

    [LibraryImport("libc", EntryPoint = "access", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Access(string path, int mode);

    [LibraryImport("libc", EntryPoint = "adjtimex")]
    private static partial int Adjtimex([In, Out] byte[] told);
}

internal sealed record FileSystemSeen(long TotalBytes, long FreeBytes, long TotalInodes, long FreeInodes, bool ReadOnly);
