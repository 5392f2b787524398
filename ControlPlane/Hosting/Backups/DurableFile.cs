using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.ControlPlane.Hosting.Backups;

/// <summary>A file that is there in whole or not at all, also after a power cut: written aside, synced, and given its name.</summary>
internal static class DurableFile
{
    public static string Aside(string path) => Path.Combine(
        Path.GetDirectoryName(path) ?? ".", FormattableString.Invariant($".{Path.GetFileName(path)}.{Environment.ProcessId}.tmp"));

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
}
