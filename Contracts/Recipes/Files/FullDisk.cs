namespace DeepSeekOps.Recipes.Files;

/// <summary>Whether a write failed for want of room, and on which file system.</summary>
public static class FullDisk
{
    private const int NoSpace = 28;
    private const int OverQuota = 122;

    /// <summary>"/mnt/checkpoints (tmpfs)"; empty: it failed for another reason.</summary>
    public static string Of(Exception reason, string folder) =>
        reason is IOException { HResult: NoSpace or OverQuota } || reason.Message.Contains("No space left", StringComparison.Ordinal)
            || reason.Message.Contains("quota exceeded", StringComparison.OrdinalIgnoreCase) ? MountPoint.Of(folder).InWords : "";
}
