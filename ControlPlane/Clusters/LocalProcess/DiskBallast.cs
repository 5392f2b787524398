using System.Globalization;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Drills;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>A file that takes what room a file system has left, for a drill: only of one that holds nothing but checkpoints.</summary>
internal sealed class DiskBallast(string path)
{
    private const string Name = ".drill-ballast";

    /// <summary>Ours: filled within seconds, and nobody's big disk.</summary>
    private const long MostBytes = 4L << 30;

    private const int BlockBytes = 1 << 20;

    /// <param name="dataDirectory">What else it holds must not lie on the same file system.</param>
    /// <param name="ballast">Null: nothing was filled.</param>
    public static DrillStruck Fill(string folder, string dataDirectory, out DiskBallast? ballast)
    {
        ballast = null;
        var (here, home) = (MountPoint.Of(folder), MountPoint.Of(dataDirectory));
        string own = Path.Combine(dataDirectory, "checkpoints");
        string how = "Give the checkpoints a file system of their own before the start, as root: "
            + $"`mount -t tmpfs -o size=64m tmpfs {own}`.";
        if (here.Path == home.Path)
        {
            return DrillStruck.Refused(
                $"The checkpoints in {folder} lie on {here.InWords} together with the database, and whatever else is there. {how}");
        }

        long free = new DriveInfo(here.Path).AvailableFreeSpace;
        if (free > MostBytes)
        {
            return DrillStruck.Refused($"{here.InWords} has {Words.Size(free)} free; at most {Words.Size(MostBytes)} are filled. {how}");
        }

        var full = new DiskBallast(Path.Combine(here.Path, Name));
        long written = full.Write();
        ballast = full;
        return new DrillStruck(string.Create(CultureInfo.InvariantCulture,
            $"{here.InWords} is filled by {Words.Size(written)} for {DrillPlan.FullFor.TotalSeconds:0} s"))
        {
            File = here.Path,
        };
    }

    /// <summary>Of a drill whose control plane was ended in the midst of it.</summary>
    public static void RemoveLeft(string folder)
    {
        string left = Path.Combine(MountPoint.Of(folder).Path, Name);
        if (File.Exists(left))
        {
            File.Delete(left);
        }
    }

    public void Remove() => File.Delete(path);

    private long Write()
    {
        using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
        byte[] block = new byte[BlockBytes];
        // Down to the last page: what is left would be room for a small file.
        for (int size = BlockBytes; size >= 512;)
        {
            try
            {
                file.Write(block, 0, size);
            }
            catch (IOException)
            {
                size /= 2;
            }
        }

        return file.Length;
    }
}
