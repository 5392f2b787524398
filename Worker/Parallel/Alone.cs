using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>The group of one rank: nobody to wait for, and every number stays as it is.</summary>
public sealed class Alone(Calls calls) : IProcessGroup
{
    private readonly Queue<Tensor> _toItself = new();

    public int Ranks => 1;

    public int Own => 0;

    public void AllReduce(IReadOnlyList<Tensor> tensors) => calls.Next();

    public Tensor ReduceScatter(Tensor parts)
    {
        calls.Next();
        return parts.clone();
    }

    public Tensor AllGather(Tensor part)
    {
        calls.Next();
        return part.unsqueeze(0);
    }

    public Tensor AllToAll(Tensor rows, IReadOnlyList<long> sent, IReadOnlyList<long> received)
    {
        calls.Next();
        return rows;
    }

    public void Broadcast(Tensor tensor, int from) => calls.Next();

    public void Give(IReadOnlyList<Tensor> tensors, IReadOnlyList<int> owners) => calls.Next();

    public long Broadcast(long value)
    {
        calls.Next();
        return value;
    }

    public void Send(Tensor tensor, int to)
    {
        calls.Next();
        _toItself.Enqueue(tensor.detach().clone().DetachFromDisposeScope());
    }

    public void Receive(Tensor into, int from)
    {
        calls.Next();
        using var sent = _toItself.Dequeue();
        into.copy_(sent);
    }

    public void Barrier() => calls.Next();
}
