namespace DeepSeekOps.Worker.Checkpoints.Store;

/// <summary>
/// A checkpoint store does not answer, or does not let us in, after what is tried again was tried. It says nothing of any checkpoint.
/// </summary>
public sealed class StoreException : IOException
{
    public StoreException(string what, string fix, Exception? cause = null)
        : base(what, cause) => Fix = fix;

    /// <summary>What to do about it.</summary>
    public string Fix { get; }
}
