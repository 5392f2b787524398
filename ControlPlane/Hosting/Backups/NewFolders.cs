namespace DeepSeekOps.ControlPlane.Hosting.Backups;

/// <summary>Folders on the way to something that were not there before it: with what fails they go again.</summary>
internal sealed class NewFolders : IDisposable
{
    /// <summary>The innermost first.</summary>
    private readonly List<string> missing = [];

    /// <param name="folder">Full path, looked at before it is made.</param>
    public NewFolders(string folder)
    {
        for (string? above = folder; above is not null && !Directory.Exists(above); above = Path.GetDirectoryName(above))
        {
            missing.Add(above);
        }
    }

    /// <summary>What they were made for is there.</summary>
    public void Keep() => missing.Clear();

    public void Dispose()
    {
        try
        {
            // What somebody else has put there meanwhile stays, with the folders that it is in.
            foreach (string folder in missing.Where(Directory.Exists).TakeWhile(f => !Directory.EnumerateFileSystemEntries(f).Any()))
            {
                Directory.Delete(folder);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // What failed is told; an empty folder that stays is no more of it.
        }
    }
}
