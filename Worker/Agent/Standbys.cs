using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>How many warm processes an agent keeps ready.</summary>
/// <param name="Kept">Null: one, and of a gang on GPUs one for each rank.</param>
public readonly record struct Standbys(int? Kept, bool NodeHasGpus)
{
    /// <summary>
    /// A process can be ready for one GPU: a context and NCCL's kernels, 1.4 s (H200, NCCL 2.28.9), for which the whole gang would wait.
    /// </summary>
    public int For(Wanted.Training training, string node) =>
        Kept ?? (OnGpus(training) && training.Assignment.WorldSize > 1
            ? Math.Max(1, training.Assignment.Ranks.Count(p => p.Node == node)) : 1);

    public bool OnGpus(Wanted.Training training) => NodeHasGpus && training.Assignment.Plan?.Device is not (null or "cpu");

    /// <param name="devices">The folder of the machine's devices.</param>
    public static Standbys Of(int? kept, string devices = "/dev") =>
        new(kept, Directory.Exists(devices) && Directory.EnumerateFileSystemEntries(devices, "nvidia*").Any(d => char.IsAsciiDigit(d[^1])));
}
