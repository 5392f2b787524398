namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>
/// What a stage goes on from: a checkpoint on a disk, or what the rank has kept in memory. Both have the same names in them.
/// </summary>
public interface ISavedState
{
    bool Has(string file);

    /// <param name="file">Which of its tensors: "optimizer.safetensors".</param>
    void ReadInto(IEnumerable<Piece> targets, string file);

    byte[] Text(string file);
}

/// <summary>A checkpoint of ours.</summary>
public sealed class SavedOnDisk(string folder) : ISavedState
{
    public bool Has(string file) => ModelWeights.Has(folder, file);

    public void ReadInto(IEnumerable<Piece> targets, string file) => ModelWeights.LoadInto(targets, folder, file);

    public byte[] Text(string file) => File.ReadAllBytes(Path.Combine(folder, file));
}
