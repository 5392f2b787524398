using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using DeepSeekOps.ControlPlane.Storage.Backups;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.ControlPlane.Hosting.Backups;

/// <summary>A file that is there in whole or not at all, also after a power cut: written aside, synced, and given its name.</summary>
internal static partial class DurableFile
{
    public static string Aside(string path) => Path.Combine(
        Path.GetDirectoryName(path) ?? ".", FormattableString.Invariant($".{Path.GetFileName(path)}.{Environment.ProcessId}.tmp"));

    /// <summary>As <see cref="ClearAbandoned"/>, of whole runs that were exported.</summary>
    public static void ClearAbandonedRuns(string path) => ClearAbandoned(path, BackupFile.OneRun.FirstLine);

    /// <summary>
    /// Takes away what writers that were killed have left in the folder: of this very file, and of others that begin as this kind of file
    /// does. Who still writes has his file locked, also where his number means nothing to this machine.
    /// </summary>
    /// <param name="firstBytes">Of the kind of file. Empty: files of other names are left alone.</param>
    public static void ClearAbandoned(string path, byte[] firstBytes)
    {
        string folder = Path.GetDirectoryName(path) ?? ".", own = Path.GetFileName(path);
        if (!Directory.Exists(folder))
        {
            return;
        }

        foreach (string left in Directory.EnumerateFiles(folder, ".*.tmp"))
        {
            if (AsideName().Match(Path.GetFileName(left)) is { Success: true } name && !Lives(name.Groups["pid"].Value)
                && (name.Groups["of"].Value == own || firstBytes.Length > 0))
            {
                Clear(left, name.Groups["of"].Value == own ? [] : firstBytes);
            }
        }
    }

    /// <summary>Pipelines, logs and digests of tokens are for nobody but the file's owner, whatever umask the shell had.</summary>
    public static FileStream Create(string aside)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite, BufferSize = 1 << 16 };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return new FileStream(aside, options);
    }

    /// <exception cref="IOException">There is a file of that name.</exception>
    public static void Finish(string aside, string path)
    {
        using (var written = File.OpenHandle(aside, FileMode.Open, FileAccess.ReadWrite))
        {
            DurableFiles.Sync(written, path);
        }

        File.Move(aside, path, overwrite: false);
        DurableFiles.SyncFolder(Path.GetDirectoryName(path) ?? ".");
    }

    private static void Clear(string left, byte[] firstBytes)
    {
        try
        {
            byte[] beginning = new byte[firstBytes.Length];
            bool mine;
            using (var file = new FileStream(left, FileMode.Open, FileAccess.Read, FileShare.None))
            {
                mine = file.ReadAtLeast(beginning, beginning.Length, throwOnEndOfStream: false) == beginning.Length
                    && beginning.AsSpan().SequenceEqual(firstBytes);
            }

            if (mine)
            {
                File.Delete(left);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Somebody writes it, or it is another user's: the file that is written does not depend on it.
        }
    }

    /// <summary>The number of this process was another's: its own file is not there yet.</summary>
    private static bool Lives(string pid)
    {
        if (!int.TryParse(pid, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || number == Environment.ProcessId)
        {
            return false;
        }

        try
        {
            using var process = Process.GetProcessById(number);
            return !process.HasExited;
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            return false;
        }
    }

    [GeneratedRegex(@"\A\.(?<of>.+)\.(?<pid>[0-9]+)\.tmp\z")]
    private static partial Regex AsideName();
}
