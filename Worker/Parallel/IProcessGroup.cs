using DeepSeekOps.Worker.Agent;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>
/// Ranks that compute something together. All of them make the same calls in the same order; each call waits for the others, and is
/// counted before it waits (<see cref="Calls"/>). What a call gives is the same to the last bit on every rank that gets it, and in
/// every run: sums are added up in an order that only the number of ranks decides.
/// </summary>
/// <exception cref="CollectiveAbortedException">Any call: somebody ended it from another thread.</exception>
/// <exception cref="PeerLostException">Any call: another rank of the group is gone, or does not come.</exception>
public interface IProcessGroup
{
    int Ranks { get; }

    /// <summary>This rank's place in the group, from 0.</summary>
    int Own { get; }

    /// <summary>Each tensor becomes, in place and on all ranks, the sum of the ranks' own. One call, however many tensors.</summary>
    void AllReduce(IReadOnlyList<Tensor> tensors);

    /// <param name="parts">[ranks · n, …], as large on every rank.</param>
    /// <returns>[n, …]: the sum over the ranks of this rank's part.</returns>
    Tensor ReduceScatter(Tensor parts);

    /// <param name="part">[n], as long on every rank.</param>
    /// <returns>[ranks, n] in the order of the ranks.</returns>
    Tensor AllGather(Tensor part);

    /// <summary>Each rank gives each rank some of its rows, and gets some of each rank's, in the order of the ranks.</summary>
    /// <param name="rows">[Σ sent, …], those for rank 0 first.</param>
    /// <param name="sent">How many rows go to each rank.</param>
    /// <param name="received">How many come from each: what those ranks send to this one.</param>
    /// <returns>[Σ received, …].</returns>
    Tensor AllToAll(Tensor rows, IReadOnlyList<long> sent, IReadOnlyList<long> received);

    /// <summary>The tensor becomes, in place, that of the rank <paramref name="from"/>.</summary>
    void Broadcast(Tensor tensor, int from);

    /// <summary>Each tensor becomes, in place, its owner's. One call, however many tensors and owners.</summary>
    /// <param name="owners">Of each tensor: a place in the group.</param>
    void Give(IReadOnlyList<Tensor> tensors, IReadOnlyList<int> owners);

    /// <summary>The value that the group's first rank has.</summary>
    long Broadcast(long value);

    /// <summary>
    /// To one rank, in the order of the calls to it. Takes the numbers as they are now and does not wait for the other rank.
    /// </summary>
    void Send(Tensor tensor, int to);

    /// <summary>Fills the tensor with what <paramref name="from"/> sends next.</summary>
    void Receive(Tensor into, int from);

    /// <summary>Returns once every rank has called it.</summary>
    void Barrier();
}
