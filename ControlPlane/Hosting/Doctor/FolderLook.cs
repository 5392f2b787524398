using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Decisions.Doctor;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.ControlPlane.Hosting.Doctor;

/// <summary>Looks at the data directory, its key, and who has it.</summary>
internal static class FolderLook
{
    /// <summary>A folder of ten thousand checkpoints is looked at as far as this.</summary>
    private const int CheckpointsMax = 500;

    private const string LockName = "dsops.lock", PidName = "dsops.pid";

    public static FolderFacts Folder(string path)
    {
        bool exists = Directory.Exists(path);
        string there = exists ? path : DataDirectoryLock.NearestThere(path);
        var stat = exists ? LinuxCalls.Stat(path) : null;
        var system = LinuxCalls.FileSystem(there);
        return new FolderFacts(path, LinuxCalls.User)
        {
            InTheWay = File.Exists(there) ? there : null,
            Exists = exists, Used = exists && Used(path), Owner = stat?.Owner, Mode = stat?.Mode, ReadOnly = system?.ReadOnly,
            FreeBytes = system?.FreeBytes, TotalBytes = system?.TotalBytes, FreeInodes = system?.FreeInodes,
            TotalInodes = system?.TotalInodes, WriteTrouble = exists ? Write(path) : LinuxCalls.Unwritable(there),
            Open = exists ? OpenToOthers(path) : [],
        };
    }

    public static KeyFacts Key(ControlPlaneOptions options)
    {
        string path = options.KeyFile ?? Path.Combine(options.DataDirectory, KeyFile.Name);
        var facts = new KeyFacts(path, options.KeyFile is not null)
        {
            Exists = Path.Exists(path), FolderUsed = File.Exists(Path.Combine(options.DataDirectory, DirectoryBinding.FileName)),
        };
        if (!facts.Given && !Enterable(options.DataDirectory))
        {
            return facts with { Unseen = "the folder is not ours to enter" };
        }

        if (!facts.Exists)
        {
            return facts;
        }

        if (Directory.Exists(path))
        {
            return facts with { Trouble = "is a folder and no key" };
        }

        var stat = LinuxCalls.Stat(path);
        facts = facts with { Mode = stat?.Mode, Owner = stat?.Owner };
        try
        {
            KeyFile.Read(path);
            return facts;
        }
        catch (RefusalException)
        {
            return facts with { Trouble = "is not a key of dsops" };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return facts with { Unseen = e.Message.TrimEnd('.') };
        }
    }

    /// <summary>Whether it answers is asked by who may wait.</summary>
    public static HolderFacts Holder(string folder)
    {
        if (!Enterable(folder))
        {
            return new HolderFacts(folder) { Unseen = true };
        }

        bool there = File.Exists(Path.Combine(folder, ControlFile.Name));
        var file = there ? ControlFile.Read(folder) : null;
        return new HolderFacts(folder)
        {
            Locked = Locked(Path.Combine(folder, LockName)), LockPid = Text(Path.Combine(folder, PidName)), ControlFile = there,
            ControlFileTrouble = there && file is null ? "it is not whole, or not ours to read" : "",
            ControlPid = file?.Pid ?? 0, ControlAddress = file?.Http ?? "",
            ControlProcessLives = file is not null && file.ProcessLives() && IsOfUs(file.Pid),
        };
    }

    /// <summary>Bytes of the largest checkpoint that lies there; 0: there is none, or none that is ours to look at.</summary>
    public static long LargestCheckpoint(string checkpoints)
    {
        var ours = new EnumerationOptions { IgnoreInaccessible = true };
        return !Directory.Exists(checkpoints) ? 0
            : Directory.EnumerateDirectories(checkpoints, "*", ours).SelectMany(run => Directory.EnumerateDirectories(run, "*", ours))
                .SelectMany(stage => Directory.EnumerateDirectories(stage, "step-*", ours)).Take(CheckpointsMax)
                .Select(step => new DirectoryInfo(step).EnumerateFiles("*", ours).Sum(file => file.Length)).DefaultIfEmpty().Max();
    }

    public static ImmutableArray<SecretFacts> Secrets(IEnumerable<(string By, string Path)> named) => [.. named.Select(secret =>
    {
        try
        {
            using var file = new FileStream(secret.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            return new SecretFacts(secret.By, secret.Path, LinuxCalls.Stat(secret.Path)?.Mode);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new SecretFacts(secret.By, secret.Path, null) { Trouble = e.Message.TrimEnd('.') };
        }
    })];

    /// <summary>One that cannot be entered is somebody's.</summary>
    private static bool Used(string folder) => !Enterable(folder)
        || Directory.EnumerateFileSystemEntries(folder).Any(e => PrivateFiles.IsOurs(Path.GetFileName(e)));

    /// <summary>A folder that is not there hides nothing.</summary>
    internal static bool Enterable(string folder)
    {
        try
        {
            _ = Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any();
            return true;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static ImmutableArray<(string Name, int Mode)> OpenToOthers(string folder)
    {
        const int others = 0b111_111;
        try
        {
            return
            [
                .. from entry in Directory.EnumerateFileSystemEntries(folder)
                   let name = Path.GetFileName(entry)
                   where PrivateFiles.IsOurs(name) && name != KeyFile.Name
                   let stat = LinuxCalls.Stat(entry)
                   where stat is { } told && (told.Mode & others) != 0
                   orderby name
                   select (name, stat.Value.Mode),
            ];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>A small file, written, brought to the disk and taken away.</summary>
    private static string Write(string folder)
    {
        string path = Path.Combine(folder, $".dsops-doctor.{Environment.ProcessId}.tmp");
        try
        {
            using (var file = new FileStream(path, FileMode.Create, FileAccess.Write))
            {
                file.Write(new byte[4_096]);
                DurableFiles.Sync(file);
            }

            File.Delete(path);
            return "";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.Message.TrimEnd('.');
        }
    }

    /// <summary>Asked for together with other readers, for a moment: a start in that moment is refused and can be made again.</summary>
    private static bool? Locked(string path)
    {
        if (!File.Exists(path))
        {
            return false;
        }

        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            return false;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }
        catch (IOException)
        {
            return true;
        }
    }

    /// <summary>Another program may have got the number of one that died.</summary>
    private static bool IsOfUs(int pid)
    {
        string words = Text($"/proc/{pid}/cmdline");
        return words.Length == 0 || words.Contains("dsops", StringComparison.Ordinal);
    }

    private static string Text(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
