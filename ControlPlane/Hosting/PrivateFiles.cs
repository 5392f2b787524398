using System.Runtime.InteropServices;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// The data directory is its owner's alone: whoever reads its files has the token, the data and the weights. Folders are 0700 and files
/// 0600 whatever umask the shell had; agents and ranks are started with ours.
/// </summary>
internal static partial class PrivateFiles
{
    private const UnixFileMode Others =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherWrite
            | UnixFileMode.OtherExecute;

    private const UnixFileMode OwnersFolder = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>
    /// What this program keeps in a data directory besides dsops.*. Only this is changed: a folder may hold its owner's own things too.
    /// </summary>
    private static readonly string[] Kept = [ControlFile.Name, "logs", "nodes", "checkpoints"];

    /// <summary>Of this process and all that it starts.</summary>
    public static void MakeWhatIsMadePrivate()
    {
        if (!OperatingSystem.IsWindows())
        {
            _ = Umask(0b000_111_111);
        }
    }

    /// <summary>Makes the folder, or takes an existing one, of an earlier version too, away from everybody else.</summary>
    public static void Make(string dataDirectory)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(dataDirectory);
            return;
        }

        Directory.CreateDirectory(dataDirectory, OwnersFolder);
        if (File.GetUnixFileMode(dataDirectory).HasFlag(UnixFileMode.StickyBit))
        {
            throw new RefusalException($"The data directory {dataDirectory} is shared by all users of this machine.",
                $"Give dsops one of its own: --data-dir {Path.Combine(dataDirectory, "NAME")}.");
        }

        TakeFromOthers(dataDirectory);
        foreach (string entry in Directory.EnumerateFileSystemEntries(dataDirectory).Where(IsKept))
        {
            TakeFromOthers(entry);
            if (Directory.Exists(entry))
            {
                TakeAllFromOthers(entry);
            }
        }
    }

    /// <summary>What of a data directory is this program's, by name.</summary>
    public static bool IsOurs(string name) =>
        Kept.Contains(name, StringComparer.Ordinal) || name.StartsWith("dsops.", StringComparison.Ordinal);

    // A link's own mode means nothing, and what it leads to is not ours to change.
    private static bool IsKept(string entry) => IsOurs(Path.GetFileName(entry)) && !IsLink(entry);

    private static bool IsLink(string entry) => File.GetAttributes(entry).HasFlag(FileAttributes.ReparsePoint);

    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    private static void TakeAllFromOthers(string folder)
    {
        var all = new EnumerationOptions
        {
            RecurseSubdirectories = true,
            AttributesToSkip = FileAttributes.ReparsePoint,
            IgnoreInaccessible = true,
        };
        foreach (string entry in Directory.EnumerateFileSystemEntries(folder, "*", all))
        {
            TakeFromOthers(entry);
        }
    }

    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    private static void TakeFromOthers(string entry)
    {
        try
        {
            var mode = File.GetUnixFileMode(entry);
            if ((mode & Others) != 0)
            {
                File.SetUnixFileMode(entry, mode & ~Others);
            }
        }
        catch (FileNotFoundException)
        {
            // A worker that trains on deleted it meanwhile.
        }
    }

    [LibraryImport("libc", EntryPoint = "umask")]
    private static partial uint Umask(uint mask);
}
