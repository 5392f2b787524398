using System.Buffers.Binary;
using DeepSeekOps.Worker.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel.Sockets;

/// <summary>
/// Ranks that compute together over TCP. Tensors on a GPU are carried through host memory: that is for few and small ones; NCCL is for
/// the others.
/// </summary>
/// <param name="name">The same on all of its ranks, another than that of the gang's other groups.</param>
/// <param name="members">Ranks of the gang, in the group's order.</param>
/// <param name="limit">So long a call may wait without a byte moving.</param>
public sealed class SocketGroup(string name, IReadOnlyList<int> members, int own, PeerDoor door, Calls calls,
    TimeSpan limit) : IProcessGroup, IDisposable
{
    /// <summary>
    /// Up to here everybody sends everything to everybody: one latency instead of 2 · (ranks − 1), for as many times the bytes.
    /// </summary>
    private const int DirectBytes = 64 * 1024;
    private const int DirectRanks = 8;

    private readonly PeerLink?[] _links = new PeerLink?[members.Count];
    private readonly Exchange _exchange = new(calls, limit);
    private readonly HostMemory _scratch = new();
    private readonly Lazy<Outbound> _outbound = new(() => new Outbound(calls, limit));

    public int Ranks => members.Count;

    public int Own { get; } = Place(members, own);

    public void AllReduce(IReadOnlyList<Tensor> tensors)
    {
        Begin();
        using var untracked = no_grad();
        foreach (var alike in tensors.GroupBy(t => Exact(t.dtype)))
        {
            using var scope = NewDisposeScope();
            Tensor[] own = [.. alike];
            var flat = own is [{ is_sparse: false } single] && InPlace(single, alike.Key) ? single
                : cat([.. own.Select(t => t.detach().reshape(-1).to(alike.Key, CPU))]);
            Sum(flat);
            if (!ReferenceEquals(flat, own[0]))
            {
                var from = 0L;
                foreach (var tensor in own)
                {
                    tensor.copy_(flat.narrow(0, from, tensor.numel()).view(tensor.shape));
                    from += tensor.numel();
                }
            }
        }
    }

    public Tensor ReduceScatter(Tensor parts)
    {
        Begin();
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var sums = parts.detach().to(Exact(parts.dtype), CPU).contiguous().clone();
        long part = parts.shape[0] / Ranks;
        if (part * Ranks != parts.shape[0])
        {
            throw new ArgumentException($"{parts.shape[0]} rows cannot be cut into {Ranks} equal parts.");
        }
        Scatter(sums, whole: Own);
        return sums.narrow(0, Own * part, part).clone().to(parts.dtype, parts.device).MoveToOuterDisposeScope();
    }

    public Tensor AllGather(Tensor part)
    {
        Begin();
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var mine = part.detach().cpu().contiguous();
        var all = empty([Ranks, .. part.shape], mine.dtype);
        all[Own].copy_(mine);
        var (from, bytes) = (TensorMemory.Address(all), mine.numel() * mine.element_size());
        for (var rank = 0; rank < Ranks; rank++)
        {
            if (rank != Own)
            {
                _exchange.Send(Link(rank), from + (nint)(Own * bytes), bytes);
                _exchange.Receive(Link(rank), from + (nint)(rank * bytes), bytes);
            }
        }
        _exchange.Run();
        return all.to(part.device).MoveToOuterDisposeScope();
    }

    public void Give(IReadOnlyList<Tensor> tensors, IReadOnlyList<int> owners)
    {
        using var untracked = no_grad();
        foreach (var alike in tensors.Zip(owners).GroupBy(t => t.First.dtype))
        {
            using var scope = NewDisposeScope();
            var given = alike.ToLookup(t => t.Second, t => t.First.detach());
            var own = empty(Enumerable.Range(0, Ranks).Max(rank => given[rank].Sum(t => t.numel())), alike.Key);
            Each(given[Own], own, (tensor, part) => part.copy_(tensor));
            var all = AllGather(own);
            foreach (var others in given.Where(g => g.Key != Own))
            {
                Each(others, all[others.Key], (tensor, part) => tensor.copy_(part));
            }
        }
    }

    private static void Each(IEnumerable<Tensor> tensors, Tensor flat, Action<Tensor, Tensor> copy)
    {
        var from = 0L;
        foreach (var tensor in tensors)
        {
            copy(tensor, flat.narrow(0, from, tensor.numel()).view(tensor.shape));
            from += tensor.numel();
        }
    }

    public unsafe Tensor AllToAll(Tensor rows, IReadOnlyList<long> sent, IReadOnlyList<long> received)
    {
        if (sent.Count != Ranks || received.Count != Ranks || sent.Sum() != rows.shape[0])
        {
            throw new ArgumentException($"{rows.shape[0]} rows are not the {sent.Sum()} to send to {sent.Count} ranks of {Ranks}.");
        }
        Begin();
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var mine = rows.detach().cpu().contiguous();
        var theirs = empty([received.Sum(), .. rows.shape[1..]], mine.dtype);
        long row = mine.element_size() * rows.shape[1..].Aggregate(1L, (product, size) => product * size);
        var (from, into) = (TensorMemory.Address(mine), TensorMemory.Address(theirs));
        for (var rank = 0; rank < Ranks; rank++)
        {
            var (going, coming) = (sent[rank] * row, received[rank] * row);
            if (rank == Own)
            {
                Buffer.MemoryCopy((void*)from, (void*)into, coming, going);
            }
            else
            {
                _exchange.Send(Link(rank), from, going);
                _exchange.Receive(Link(rank), into, coming);
            }
            (from, into) = (from + (nint)going, into + (nint)coming);
        }
        _exchange.Run();
        return theirs.to(rows.device).MoveToOuterDisposeScope();
    }

    public void Broadcast(Tensor tensor, int from)
    {
        Begin();
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var host = tensor.detach().cpu().contiguous();
        var (at, bytes) = (TensorMemory.Address(host), host.numel() * host.element_size());
        // A tree: who has it passes it on, so that the last of n ranks has it after log2 n turns.
        int place = (Own - from + Ranks) % Ranks;
        for (var reach = 1; reach < Ranks; reach *= 2)
        {
            if (place >= reach && place < 2 * reach)
            {
                _exchange.Receive(Link((place - reach + from) % Ranks), at, bytes);
                _exchange.Run();
            }
        }
        for (int reach = place == 0 ? 1 : (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)place + 1); place + reach < Ranks;
        reach *= 2)
        {
            _exchange.Send(Link((place + reach + from) % Ranks), at, bytes);
        }
        _exchange.Run();
        if (place > 0)
        {
            tensor.copy_(host);
        }
    }

    public long Broadcast(long value)
    {
        using var scope = NewDisposeScope();
        var told = tensor(value);
        Broadcast(told, 0);
        return told.item<long>();
    }

    public void Send(Tensor tensor, int to)
    {
        calls.Next();
        _outbound.Value.Send(Link(to), tensor);
    }

    public void Receive(Tensor into, int from)
    {
        calls.Next();
        _outbound.Value.ThrowIfFailed();
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var host = InPlace(into, into.dtype) ? into : empty(into.shape, into.dtype);
        _exchange.Receive(Link(from), TensorMemory.Address(host), host.numel() * host.element_size());
        _exchange.Run();
        if (!ReferenceEquals(host, into))
        {
            into.copy_(host);
        }
    }

    public void Barrier()
    {
        using var scope = NewDisposeScope();
        AllGather(zeros(1, uint8));
    }

    public void Dispose()
    {
        if (_outbound.IsValueCreated)
        {
            _outbound.Value.Dispose();
        }
        foreach (var link in _links)
        {
            link?.Dispose();
        }
        _scratch.Dispose();
    }

    private static int Place(IReadOnlyList<int> members, int own) =>
        members.Index().Where(m => m.Item == own).Select(m => m.Index).DefaultIfEmpty(-1).First() is >= 0 and var place ? place
        : throw new ArgumentException($"Rank {own} is not of the group of {string.Join(", ", members)}.");

    /// <summary>A call of all ranks uses the connections that single sends go by, and those may still be on their way.</summary>
    private void Begin()
    {
        calls.Next();
        if (_outbound.IsValueCreated)
        {
            _outbound.Value.Settle();
        }
    }

    private PeerLink Link(int place) => _links[place] ??= Met(place);

    private PeerLink Met(int place)
    {
        var link = door.LinkTo(members[place], own, name, calls, limit);
        calls.WhenAborted(link.Wake);
        return link;
    }

    /// <summary>What sums are made in: halves and bfloat16 in float32.</summary>
    private static ScalarType Exact(ScalarType type) => type is ScalarType.BFloat16 or ScalarType.Float16 ? ScalarType.Float32 : type;

    private static bool InPlace(Tensor tensor, ScalarType type) =>
        tensor.device_type == DeviceType.CPU && tensor.dtype == type && tensor.is_contiguous();

    private void Sum(Tensor flat)
    {
        if (Ranks == 1)
        {
            return;
        }
        if (Ranks <= DirectRanks && flat.numel() * flat.element_size() <= DirectBytes)
        {
            Direct(flat);
            return;
        }
        Scatter(flat, whole: (Own + 1) % Ranks);
        var (at, size, count) = (TensorMemory.Address(flat), flat.element_size(), flat.numel());
        var (next, last) = (Link((Own + 1) % Ranks), Link((Own + Ranks - 1) % Ranks));
        for (var turn = 0; turn < Ranks - 1; turn++)
        {
            var (going, coming) = (Segment(Own + 1 - turn, count), Segment(Own - turn, count));
            _exchange.Send(next, at + (nint)(going.From * size), going.Count * size);
            _exchange.Receive(last, at + (nint)(coming.From * size), coming.Count * size);
            _exchange.Run();
        }
    }

    /// <summary>
    /// Round the ring: afterwards the segment <paramref name="whole"/> holds the sum over all ranks, the others partial sums.
    /// </summary>
    private void Scatter(Tensor flat, int whole)
    {
        var (at, size, count) = (TensorMemory.Address(flat), flat.element_size(), flat.numel());
        if (Ranks == 1)
        {
            return;
        }
        var (next, last) = (Link((Own + 1) % Ranks), Link((Own + Ranks - 1) % Ranks));
        var window = _scratch.Of(Exchange.WindowBytes);
        for (var turn = 0; turn < Ranks - 1; turn++)
        {
            var (going, coming) = (Segment(whole - 1 - turn, count), Segment(whole - 2 - turn, count));
            nint into = at + (nint)(coming.From * size);
            _exchange.Send(next, at + (nint)(going.From * size), going.Count * size);
            _exchange.Receive(last, window, coming.Count * size, (from, bytes) => Add(flat.dtype, into + (nint)from, window, bytes / size));
            _exchange.Run();
        }
    }

    private (long From, long Count) Segment(int index, long count)
    {
        int segment = ((index % Ranks) + Ranks) % Ranks;
        long from = count * segment / Ranks;
        return (from, (count * (segment + 1) / Ranks) - from);
    }

    /// <summary>Everybody adds up what everybody has, in the order of the ranks: the sums are the same bits everywhere.</summary>
    private unsafe void Direct(Tensor flat)
    {
        var (at, bytes) = (TensorMemory.Address(flat), flat.numel() * flat.element_size());
        var all = _scratch.Of(bytes * Ranks);
        Buffer.MemoryCopy((void*)at, (byte*)all + (Own * bytes), bytes, bytes);
        for (var rank = 0; rank < Ranks; rank++)
        {
            if (rank != Own)
            {
                _exchange.Send(Link(rank), at, bytes);
                _exchange.Receive(Link(rank), all + (nint)(rank * bytes), bytes);
            }
        }
        _exchange.Run();
        for (var rank = 1; rank < Ranks; rank++)
        {
            Add(flat.dtype, all, all + (nint)(rank * bytes), flat.numel());
        }
        Buffer.MemoryCopy((void*)all, (void*)at, bytes, bytes);
    }

    private static void Add(ScalarType type, nint sums, nint more, long count)
    {
        switch (type)
        {
            case ScalarType.Float32: Add<float>(sums, more, count); break;
            case ScalarType.Float64: Add<double>(sums, more, count); break;
            case ScalarType.Int64: Add<long>(sums, more, count); break;
            case ScalarType.Int32: Add<int>(sums, more, count); break;
            default: throw new NotSupportedException($"Tensors of {type} cannot be added up over ranks.");
        }
    }

    private static unsafe void Add<T>(nint sums, nint more, long count)
        where T : unmanaged, System.Numerics.INumber<T> =>
        Adding.To(new Span<T>((void*)sums, checked((int)count)), new ReadOnlySpan<T>((void*)more, (int)count));
}
