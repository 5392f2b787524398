using System.Globalization;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// One control plane on a data directory. The operating system holds the lock and drops it when the process ends, however it ends;
/// the pid lies in a file beside it, since a locked file cannot be read.
/// </summary>
internal sealed class DataDirectoryLock : IDisposable
{
    private const string LockName = "dsops.lock";
    private const string PidName = "dsops.pid";

    private readonly FileStream held;

    private DataDirectoryLock(FileStream held) => this.held = held;

    public static DataDirectoryLock Take(string dataDirectory)
    {
        string path = Path.Combine(dataDirectory, LockName);
        FileStream? held = null;
        try
        {
            PrivateFiles.Make(dataDirectory);
            held = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            File.WriteAllText(Path.Combine(dataDirectory, PidName), Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
            return new DataDirectoryLock(held);
        }
        catch (UnauthorizedAccessException e)
        {
            held?.Dispose();
            throw new RefusalException($"Cannot write to the data directory {dataDirectory}.",
                "Give yourself the right to, or choose another with --data-dir DIR.",
                ExitCode.Failed, e);
        }
        catch (IOException e) when (held is null && File.Exists(path))
        {
            throw new RefusalException($"The data directory {dataDirectory} is in use by another `dsops`{Holder(dataDirectory)}.",
                "Stop that one (Ctrl-C in its terminal), or give this one a directory of its own: --data-dir DIR.", ExitCode.InUse, e);
        }
        catch (IOException e) when (held is null && NearestThere(dataDirectory) is var file && File.Exists(file))
        {
            throw new RefusalException($"The data directory {dataDirectory} cannot be made: {file} is a file.",
                $"Move {file} away, or choose another with --data-dir DIR.", ExitCode.Failed, e);
        }
        catch (IOException e)
        {
            // The lock is there, and nobody else has it: the disk is full, say.
            held?.Dispose();
            throw new RefusalException($"Cannot {(held is null ? "make" : "write to")} the data directory {dataDirectory}: "
                + $"{e.Message.TrimEnd('.')}.", "Free space there, or choose another with --data-dir DIR.", ExitCode.Failed, e);
        }
    }

    public void Dispose() => held.Dispose();

    /// <summary>The folder, or what is there of the way to it.</summary>
    internal static string NearestThere(string folder)
    {
        string? at = Path.GetFullPath(folder);
        while (at is not null && !Path.Exists(at))
        {
            at = Path.GetDirectoryName(at);
        }

        return at ?? "/";
    }

    private static string Holder(string dataDirectory)
    {
        try
        {
            return $" (pid {File.ReadAllText(Path.Combine(dataDirectory, PidName)).Trim()})";
        }
        catch (IOException)
        {
            return "";
        }
    }
}
