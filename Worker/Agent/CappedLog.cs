namespace DeepSeekOps.Worker.Agent;

/// <summary>Files that grow with what others print: at the limit the file becomes FILE.1, in place of the one before.</summary>
internal static class CappedLog
{
    /// <summary>Ours: two of them for each rank and agent are no burden, and hold days of what a sound rank prints.</summary>
    public const long Limit = 64L << 20;

    /// <summary>For a file that nobody holds open.</summary>
    public static void Rotate(string path) => File.Move(path, Older(path), overwrite: true);

    /// <summary>
    /// For a file that somebody else holds open to append to, as the shell does for the agent's own output: it is copied and emptied, and
    /// what is appended goes on at its beginning. A line written in between is lost.
    /// </summary>
    public static void CopyAndEmpty(string path, long limit = Limit)
    {
        try
        {
            if (new FileInfo(path) is { Exists: true, LinkTarget: null } file && file.Length > limit)
            {
                File.Copy(path, Older(path), overwrite: true);
                using var emptied = new FileStream(path, FileMode.Truncate, FileAccess.Write, FileShare.ReadWrite);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A full disk: the next look tries again.
        }
    }

    private static string Older(string path) => path + ".1";
}
