namespace DeepSeekOps.ControlPlane.Storage.Backups;

/// <summary>A file cannot be used as a backup; the message says which part of it and why.</summary>
internal sealed class BackupUnusableException(string message, string fix, Exception? inner = null) : Exception(message, inner)
{
    public string Fix { get; } = fix;
}
