using DeepSeekOps.Decisions.Checkpoints;

namespace DeepSeekOps.ControlPlane.Clusters;

/// <summary>Where checkpoints are kept, as the workers see it.</summary>
internal sealed record CheckpointRoot(string Folder)
{
    /// <summary>Where they are copied to, and how that is reached.</summary>
    public StoreAccess Store { get; init; } = StoreAccess.Default;

    /// <summary>Why workers would have no keys for a store, and what to do; null: they have.</summary>
    public (string What, string Fix)? WithoutKeys { get; init; }

    /// <summary>
    /// Of a checkpoint, by the path that a worker reported. Such a path may lead anywhere; it is followed only within the checkpoints.
    /// </summary>
    /// <returns>Null: it leads elsewhere, or there is nothing.</returns>
    public string? FolderOf(string path)
    {
        string folder = Path.GetFullPath(Path.Combine(Folder, path));
        return folder.StartsWith(Folder + Path.DirectorySeparatorChar, StringComparison.Ordinal) && Directory.Exists(folder)
            ? folder : null;
    }
}
