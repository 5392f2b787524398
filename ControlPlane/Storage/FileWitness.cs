using Microsoft.Win32.SafeHandles;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>
/// Holds a file open and asks the system under which name: that changes when the file is deleted, replaced or moved, and SQLite would
/// go on writing into it all the same. Linux alone tells. To be disposed after SQLite's own handles: closing any of a process's
/// handles of a file drops the locks of all of them.
/// </summary>
internal sealed class FileWitness : IDisposable
{
    private readonly SafeFileHandle handle;
    private readonly string link;
    private readonly string name;

    private FileWitness(SafeFileHandle handle, string link, string name) => (this.handle, this.link, this.name) = (handle, link, name);

    /// <summary>Null where the system does not tell names of open files.</summary>
    public static FileWitness? Of(string path)
    {
        var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        string link = $"/proc/self/fd/{handle.DangerousGetHandle()}";
        if (Directory.Exists("/proc/self/fd") && new FileInfo(link).LinkTarget is { } name)
        {
            return new FileWitness(handle, link, name);
        }

        handle.Dispose();
        return null;
    }

    /// <summary>Null: the file is where it was. Otherwise what became of it, to end a sentence.</summary>
    public string? Gone() => new FileInfo(link).LinkTarget switch
    {
        null => null,
        var now when now == name => null,
        var now when now.EndsWith(" (deleted)", StringComparison.Ordinal) =>
            File.Exists(name) ? "another file was put in its place" : "it was deleted",
        var now => $"it was moved to {now}",
    };

    public void Dispose() => handle.Dispose();
}
