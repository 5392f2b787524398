namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>What goes wrong with a checkpoint on a disk: a file is cut, a bit is another, a file is gone.</summary>
internal static class CheckpointDamage
{
    private const int Kinds = 3;

    /// <param name="stage">Folder of the stage's checkpoints, of which there is at least one.</param>
    /// <param name="draw">Chooses file and kind.</param>
    /// <returns>The newest checkpoint's folder, the file, and what was done to it.</returns>
    public static (string Folder, string File, string What) Do(string stage, int draw)
    {
        string folder = Directory.EnumerateDirectories(stage, "step-*").Order(StringComparer.Ordinal).Last();
        string[] files = [.. Directory.EnumerateFiles(folder).Where(f => new FileInfo(f).Length > 0).Order(StringComparer.Ordinal)];
        string file = files[draw / Kinds % files.Length];
        string what = (draw % Kinds) switch
        {
            0 => Cut(file),
            1 => Flip(file),
            _ => Remove(file),
        };
        return (Path.GetFileName(folder), Path.GetFileName(file), what);
    }

    private static string Cut(string file)
    {
        using var open = File.Open(file, FileMode.Open, FileAccess.Write);
        open.SetLength(open.Length / 2);
        return "cut to a half:";
    }

    private static string Flip(string file)
    {
        using var open = File.Open(file, FileMode.Open, FileAccess.ReadWrite);
        open.Position = open.Length / 2;
        int was = open.ReadByte();
        open.Position--;
        open.WriteByte((byte)(was ^ 1));
        return "flipped a bit of";
    }

    private static string Remove(string file)
    {
        File.Delete(file);
        return "removed";
    }
}
