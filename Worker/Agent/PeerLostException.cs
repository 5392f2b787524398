namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// A call waited for another rank that is gone, or that sent nothing for too long. Whoever throws it is the victim: <see cref="Rank"/> is
/// where to look.
/// </summary>
public sealed class PeerLostException(int rank, string what, Exception? inner = null)
    : IOException($"Rank {rank} {what}. This rank cannot go on without it.", inner)
{
    /// <summary>In the gang, not in the group.</summary>
    public int Rank { get; } = rank;

    /// <summary>What it did or did not do, to be read after its name.</summary>
    public string What { get; } = what;
}
