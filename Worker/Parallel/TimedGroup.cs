using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>The calls of a group, timed: how long this rank was in them, most of which is waiting for the others.</summary>
internal sealed class TimedGroup(IProcessGroup group, RankTime time) : IProcessGroup
{
    public int Ranks => group.Ranks;

    public int Own => group.Own;

    public void AllReduce(IReadOnlyList<Tensor> tensors)
    {
        var entered = time.Enter();
        group.AllReduce(tensors);
        time.Leave(entered);
    }

    public Tensor ReduceScatter(Tensor parts)
    {
        var entered = time.Enter();
        var part = group.ReduceScatter(parts);
        time.Leave(entered);
        return part;
    }

    public Tensor AllGather(Tensor part)
    {
        var entered = time.Enter();
        var all = group.AllGather(part);
        time.Leave(entered);
        return all;
    }

    public Tensor AllToAll(Tensor rows, IReadOnlyList<long> sent, IReadOnlyList<long> received)
    {
        var entered = time.Enter();
        var got = group.AllToAll(rows, sent, received);
        time.Leave(entered);
        return got;
    }

    public void Broadcast(Tensor tensor, int from)
    {
        var entered = time.Enter();
        group.Broadcast(tensor, from);
        time.Leave(entered);
    }

    public void Give(IReadOnlyList<Tensor> tensors, IReadOnlyList<int> owners)
    {
        var entered = time.Enter();
        group.Give(tensors, owners);
        time.Leave(entered);
    }

    public long Broadcast(long value)
    {
        var entered = time.Enter();
        var said = group.Broadcast(value);
        time.Leave(entered);
        return said;
    }

    public void Send(Tensor tensor, int to)
    {
        var entered = time.Enter();
        group.Send(tensor, to);
        time.Leave(entered);
    }

    public void Receive(Tensor into, int from)
    {
        var entered = time.Enter();
        group.Receive(into, from);
        time.Leave(entered);
    }

    public void Barrier()
    {
        var entered = time.Enter();
        group.Barrier();
        time.Leave(entered);
    }
}
