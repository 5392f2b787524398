using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>
/// Ranks that compute something together. All of them make the same calls in the same order; each call waits for the others, and is
/// counted before it waits (<see cref="Calls"/>).
/// </summary>
public interface IProcessGroup
{
    /// <summary>Each tensor becomes, in place and on all ranks, the sum of the ranks' own. One call, however many tensors.</summary>
    void AllReduce(IReadOnlyList<Tensor> tensors);

    /// <param name="part">[n], as long on every rank.</param>
    /// <returns>[ranks, n] in the order of the ranks.</returns>
    Tensor AllGather(Tensor part);

    /// <summary>The value that the group's first rank has.</summary>
    long Broadcast(long value);
}
