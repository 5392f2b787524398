using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel.Nccl;

/// <summary>
/// Ranks with a GPU each. What lies on a GPU goes by NCCL, on the queue of libtorch's operators, so that nothing waits on the host;
/// what lies in host memory goes over <paramref name="host"/>.
/// </summary>
/// <param name="sends">To other ranks of the group, by their place.</param>
/// <param name="receives">From them: communicators of two, whose first rank is the sender.</param>
internal sealed class NcclGroup(
    IProcessGroup host, NcclCommunicator all, IReadOnlyDictionary<int, NcclSends> sends,
    IReadOnlyDictionary<int, NcclCommunicator> receives, Calls calls) : IProcessGroup
{
    /// <summary>Below it three short calls cost more than the bytes they save: 30 µs each, at 300 GB/s (4 H200).</summary>
    private const long LeastToDeal = 1 << 22;

    public int Ranks => host.Ranks;

    public int Own => host.Own;

    public void AllReduce(IReadOnlyList<Tensor> tensors)
    {
        if (tensors.Any(IsOnHost))
        {
            host.AllReduce([.. tensors.Where(IsOnHost)]);
        }
        Tensor[] here = [.. tensors.Where(t => !IsOnHost(t))];
        if (here.Length == 0)
        {
            return;
        }
        using var untracked = no_grad();
        foreach (var tensor in here.Where(IsDealt))
        {
            SumInParts(tensor.detach());
        }
        here = [.. here.Where(t => !IsDealt(t))];
        if (here.Length == 0)
        {
            return;
        }
        calls.Next();
        using var scope = NewDisposeScope();
        Tensor[] summed = [.. here.Select(t => t.detach().to(Exact(t.dtype)).contiguous())];
        var queue = Queue(here[0]);
        all.Ask(c =>
        {
            NcclLibrary.GroupStart();
            foreach (var tensor in summed)
            {
                NcclLibrary.AllReduce(DispatcherCall.Address(tensor), tensor.numel(), tensor.dtype, c, queue);
            }
            NcclLibrary.GroupEnd();
        });
        foreach (var (tensor, sum) in here.Zip(summed))
        {
            if (DispatcherCall.Address(tensor) != DispatcherCall.Address(sum))
            {
                tensor.copy_(sum);
            }
        }
    }

    public Tensor ReduceScatter(Tensor parts)
    {
        if (IsOnHost(parts))
        {
            return host.ReduceScatter(parts);
        }
        if (parts.shape[0] % Ranks != 0)
        {
            throw new ArgumentException($"{parts.shape[0]} rows cannot be cut into {Ranks} equal parts.");
        }
        calls.Next();
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var from = parts.detach().to(Exact(parts.dtype)).contiguous();
        var into = empty([parts.shape[0] / Ranks, .. parts.shape[1..]], from.dtype, from.device);
        all.Ask(c => NcclLibrary.ReduceScatter(
            DispatcherCall.Address(from), DispatcherCall.Address(into), into.numel(), into.dtype, c, Queue(from)));
        return into.to(parts.dtype).MoveToOuterDisposeScope();
    }

    public Tensor AllGather(Tensor part)
    {
        if (IsOnHost(part))
        {
            return host.AllGather(part);
        }
        calls.Next();
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var own = part.detach().contiguous();
        var into = empty([Ranks, .. part.shape], own.dtype, own.device);
        all.Ask(c => NcclLibrary.AllGather(DispatcherCall.Address(own), DispatcherCall.Address(into), Bytes(own), c, Queue(own)));
        return into.MoveToOuterDisposeScope();
    }

    public Tensor AllToAll(Tensor rows, IReadOnlyList<long> sent, IReadOnlyList<long> received)
    {
        if (IsOnHost(rows))
        {
            return host.AllToAll(rows, sent, received);
        }
        if (sent.Count != Ranks || received.Count != Ranks || sent.Sum() != rows.shape[0])
        {
            throw new ArgumentException($"{rows.shape[0]} rows are not the {sent.Sum()} to send to {sent.Count} ranks of {Ranks}.");
        }
        calls.Next();
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var own = rows.detach().contiguous();
        var into = empty([received.Sum(), .. rows.shape[1..]], own.dtype, own.device);
        var row = (ulong)(own.element_size() * rows.shape[1..].Aggregate(1L, (product, size) => product * size));
        var queue = Queue(own);
        all.Ask(c =>
        {
            var (going, coming) = (DispatcherCall.Address(own), DispatcherCall.Address(into));
            NcclLibrary.GroupStart();
            for (var rank = 0; rank < Ranks; rank++)
            {
                var (sends, takes) = ((ulong)sent[rank] * row, (ulong)received[rank] * row);
                if (sends > 0)
                {
                    NcclLibrary.Send(going, (long)sends, rank, c, queue);
                }
                if (takes > 0)
                {
                    NcclLibrary.Receive(coming, (long)takes, rank, c, queue);
                }
                (going, coming) = (going + sends, coming + takes);
            }
            NcclLibrary.GroupEnd();
        });
        return into.MoveToOuterDisposeScope();
    }

    public void Broadcast(Tensor tensor, int from)
    {
        if (IsOnHost(tensor))
        {
            host.Broadcast(tensor, from);
            return;
        }
        calls.Next();
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var whole = tensor.detach().contiguous();
        all.Ask(c => NcclLibrary.Broadcast(DispatcherCall.Address(whole), Bytes(whole), from, c, Queue(whole)));
        if (DispatcherCall.Address(whole) != DispatcherCall.Address(tensor))
        {
            tensor.copy_(whole);
        }
    }

    /// <remarks>Out of the owner's memory and into that of the others: nothing is copied on its way.</remarks>
    public void Give(IReadOnlyList<Tensor> tensors, IReadOnlyList<int> owners)
    {
        if (tensors.Any(t => IsOnHost(t) || !t.is_contiguous()))
        {
            throw new ArgumentException("Only what lies in one piece on a GPU is given so.", nameof(tensors));
        }
        if (tensors.Count == 0)
        {
            return;
        }
        calls.Next();
        var queue = Queue(tensors[0]);
        all.Ask(c =>
        {
            NcclLibrary.GroupStart();
            foreach (var (tensor, owner) in tensors.Zip(owners))
            {
                NcclLibrary.Broadcast(DispatcherCall.Address(tensor), Bytes(tensor), owner, c, queue);
            }
            NcclLibrary.GroupEnd();
        });
    }

    public long Broadcast(long value) => host.Broadcast(value);

    public void Send(Tensor tensor, int to)
    {
        if (IsOnHost(tensor))
        {
            host.Send(tensor, to);
            return;
        }
        calls.Next();
        sends[to].Send(tensor);
    }

    public void Receive(Tensor into, int from)
    {
        if (IsOnHost(into))
        {
            host.Receive(into, from);
            return;
        }
        calls.Next();
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var whole = into.is_contiguous() ? into : empty(into.shape, into.dtype, into.device);
        receives[from].Ask(c => NcclLibrary.Receive(DispatcherCall.Address(whole), Bytes(whole), 0, c, Queue(whole)));
        if (!ReferenceEquals(whole, into))
        {
            into.copy_(whole);
        }
    }

    /// <summary>Also of the GPUs: what was queued before it is done.</summary>
    public void Barrier()
    {
        cuda.synchronize();
        host.Barrier();
    }

    private static bool IsOnHost(Tensor tensor) => tensor.device_type == DeviceType.CPU;

    private static nint Queue(Tensor tensor) => CudaQueue.Current(tensor.device.index);

    private static long Bytes(Tensor tensor) => tensor.numel() * tensor.element_size();

    /// <summary>Whether it is worth <see cref="SumInParts"/>.</summary>
    private bool IsDealt(Tensor tensor) => Exact(tensor.dtype) != tensor.dtype && tensor.numel() >= LeastToDeal
        && tensor.numel() % Ranks == 0 && tensor.is_contiguous();

    /// <summary>
    /// Each rank adds up its part of all of them in float32, in the order of the ranks, rounds it once and gives it to the others: the sum
    /// that float32 makes, from half of the bytes.
    /// </summary>
    private void SumInParts(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        long[] each = [.. Enumerable.Repeat(1L, Ranks)];
        var own = AllToAll(tensor.view(Ranks, -1), each, each).sum(0, type: ScalarType.Float32).to(tensor.dtype);
        calls.Next();
        all.Ask(c => NcclLibrary.AllGather(DispatcherCall.Address(own), DispatcherCall.Address(tensor), Bytes(own), c, Queue(own)));
    }

    /// <summary>
    /// What sums are made in. Two numbers of bfloat16 add up to the same in either; of more NCCL would round each sum on its way round.
    /// </summary>
    private ScalarType Exact(ScalarType type) =>
        type == ScalarType.Float16 || (type == ScalarType.BFloat16 && Ranks > 2) ? ScalarType.Float32 : type;
}
