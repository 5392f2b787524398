using System;
using System.IO;

namespace DeepSeekOps.Recipes.Files;

/// <summary>The file system that a path lies on.</summary>
/// <param name="Path">Where it is mounted; "/" where nobody says.</param>
/// <param name="Type">"tmpfs", "ext4"; empty: not known.</param>
public sealed record MountPoint(string Path, string Type)
{
    public string InWords => Type.Length > 0 ? $"{Path} ({Type})" : Path;

    public static MountPoint Of(string path)
    {
        try
        {
            return Of(path, File.ReadAllText("/proc/self/mountinfo"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new MountPoint("/", "");
        }
    }

    /// <param name="mounts">As /proc/self/mountinfo has them; of two at one place the later one covers the earlier.</param>
    public static MountPoint Of(string path, string mounts)
    {
        string full = System.IO.Path.GetFullPath(path);
        var found = new MountPoint("/", "");
        foreach (string line in mounts.Split('\n'))
        {
            // "36 35 98:0 /root /mnt/point rw,noatime master:1 - ext4 /dev/sda1 rw"
            string[] sides = line.Split(" - ", 2);
            if (sides.Length < 2 || sides[0].Split(' ') is not { Length: > 4 } fields)
            {
                continue;
            }

            string at = fields[4].Replace("\\040", " ", StringComparison.Ordinal);
            bool holds = at == "/" || full == at || full.StartsWith($"{at}/", StringComparison.Ordinal);
            if (holds && at.Length >= found.Path.Length)
            {
                found = new MountPoint(at, sides[1].Split(' ')[0]);
            }
        }

        return found;
    }
}
