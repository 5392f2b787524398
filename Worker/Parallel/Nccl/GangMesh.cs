using System.Collections.Concurrent;
using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel.Sockets;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel.Nccl;

/// <summary>
/// A rank's groups: over sockets, and where each rank has a GPU of its own, what lies there by NCCL. The sockets carry what connects the
/// GPUs, and tell when a rank is gone.
/// </summary>
public sealed class GangMesh : IDisposable
{
    /// <summary>So long GPUs may take to be connected: a gang's first time takes seconds, others may still be loading libraries.</summary>
    private static readonly TimeSpan ConnectLimit = TimeSpan.FromMinutes(2);

    private readonly SocketMesh _sockets;
    private readonly List<IDisposable> _opened = [];
    private readonly ConcurrentDictionary<string, NcclCommunicator> _communicators = new(StringComparer.Ordinal);
    private volatile IReadOnlyList<PeerLink> _beside = [];

    /// <param name="device">Where this rank's tensors lie.</param>
    public GangMesh(SocketMesh sockets, GangLayout layout, int rank, Device device)
    {
        (_sockets, Mesh) = (sockets, sockets.Mesh);
        Mesh.Calls.WhenAborted(BreakOff);
        try
        {
            Carrier = Connect(layout.NeighboursOf(rank), rank, device);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public Mesh Mesh { get; private set; }

    /// <summary>How this gang's tensors travel, in words.</summary>
    public string Carrier { get; }

    /// <summary>In peace: once everybody is done, also on the GPUs.</summary>
    public void Leave()
    {
        if (!_communicators.IsEmpty)
        {
            Mesh.World.Barrier();
        }
    }

    public void Dispose()
    {
        _opened.Reverse<IDisposable>().ToList().ForEach(o => o.Dispose());
        _opened.Clear();
        NcclCommunicator.EndAll(_communicators.Values);
        _sockets.Dispose();
    }

    /// <summary>
    /// The neighbours first, who tell theirs: a GPU takes 0.3 to 0.4 s to give up its communicators (H200, NCCL 2.28.9), and from rank to
    /// rank these would add up.
    /// </summary>
    private void BreakOff()
    {
        foreach (var link in _beside)
        {
            link.Wake();
        }
        NcclCommunicator.EndAll(_communicators.Values);
    }

    private string Connect(Neighbours neighbours, int rank, Device device)
    {
        var plain = _sockets.Mesh;
        if (plain.World.Ranks == 1)
        {
            return "alone";
        }
        var ready = Tell(plain.World, device);
        if (NcclChoice.WhyNot(ready) is { } reason)
        {
            return $"sockets ({reason})";
        }
        int[] world = [.. Enumerable.Range(0, plain.World.Ranks)];
        (int[] Members, IProcessGroup Group)[] groups =
        [
            (world, plain.World), (neighbours.Data, plain.Data), (neighbours.Experts, plain.Experts),
            (neighbours.Replicas, plain.Replicas), (neighbours.Pipeline, plain.Pipeline), (neighbours.Model, plain.Model),
            .. plain.Mirror is { } twin ? new[] { (neighbours.Mirror, twin) } : [],
            .. neighbours.ExpertNodes is var (across, within) && plain.ExpertNodes is { } nodes
                ? new[] { (across, nodes.Across), (within, nodes.Within) } : [],
        ];
        // All ranks in one order, so that no two wait for each other in different ones.
        foreach (var (members, group) in groups.Where(g => g.Group.Ranks > 1).DistinctBy(g => Key(g.Members))
            .OrderBy(g => Key(g.Members), StringComparer.Ordinal))
        {
            Open(Key(members), members, group, rank);
        }
        var dataKey = Key(neighbours.Data);
        if (plain.Data.Ranks > 1 && dataKey == Key(neighbours.Experts))
        {
            // Else the passes' exchanges of tokens would wait behind the sums that are made beside them.
            dataKey = "early " + dataKey;
            Open(dataKey, neighbours.Data, plain.Data, rank);
        }
        var (sends, receives) = Pairs(neighbours.Pipeline, plain.Pipeline, rank, device);
        _beside = _sockets.Beside(rank);
        var watch = new NcclWatch(_beside, [.. _communicators.Values], plain.Calls);
        _opened.Add(watch);
        IProcessGroup Of(int[] members, IProcessGroup group) => group.Ranks == 1 ? group
            : new NcclGroup(group, _communicators[Key(members)], sends, receives, plain.Calls);
        Mesh = new Mesh(
            plain.Calls, Of(world, plain.World), Of(neighbours.Data, plain.Data), Of(neighbours.Experts, plain.Experts),
            Of(neighbours.Replicas, plain.Replicas), Of(neighbours.Pipeline, plain.Pipeline), Of(neighbours.Model, plain.Model))
        {
            Mirror = plain.Mirror is { } mirror ? Of(neighbours.Mirror, mirror) : null,
            ExpertNodes = neighbours.ExpertNodes is var (between, inside) && plain.ExpertNodes is { } parts
                ? new NodeGroups(Of(between, parts.Across), Of(inside, parts.Within)) : null,
        };
        if (plain.Data.Ranks > 1)
        {
            var queue = new QueueBeside(device.index);
            _opened.Add(queue);
            Mesh = Mesh with
            {
                Beside = new CallsBeside(
                    new NcclGroup(plain.Data, _communicators[dataKey], sends, receives, plain.Calls), Mesh.Replicas, queue.Run),
            };
        }
        return $"NCCL {NcclChoice.Words(ready[0].Version)}";
    }

    private static List<NcclReadiness> Tell(IProcessGroup world, Device device)
    {
        var onGpu = device.type == DeviceType.CUDA;
        using var own = tensor([onGpu ? NcclLibrary.Version : 0L, onGpu ? CudaQueue.IdOf(device.index) : 0L]);
        using var all = world.AllGather(own);
        return [.. all.data<long>().ToArray().Chunk(2).Select(r => new NcclReadiness(r[0], r[1]))];
    }

    /// <summary>
    /// Each way between neighbours of a pipeline its own: what goes one way never waits for what comes the other. Each has carried
    /// something before the first step, since to connect takes both.
    /// </summary>
    private (Dictionary<int, NcclSends> Sends, Dictionary<int, NcclCommunicator> Receives) Pairs(
        int[] pipeline, IProcessGroup group, int rank, Device device)
    {
        var (sends, receives) = (new Dictionary<int, NcclSends>(), new Dictionary<int, NcclCommunicator>());
        using var probe = zeros(1, float32, device);
        (int From, int To)[] ways = [.. Enumerable.Range(0, pipeline.Length - 1).SelectMany(i => new[] { (i, i + 1), (i + 1, i) })];
        foreach (var (from, to) in ways)
        {
            if (group.Own != from && group.Own != to)
            {
                continue;
            }
            var sender = group.Own == from;
            var id = Carry(group, sender, sender ? to : from);
            var pair = Connect($"{pipeline[from]}>{pipeline[to]}", id, sender ? 0 : 1, ranks: 2);
            if (sender)
            {
                var way = new NcclSends(pair);
                _opened.Add(way);
                sends.Add(to, way);
                way.Send(probe);
            }
            else
            {
                receives.Add(from, pair);
                pair.Ask(c => NcclLibrary.Receive(DispatcherCall.Address(probe), sizeof(float), 0, c, CudaQueue.Current(device.index)));
            }
        }
        return (sends, receives);
    }

    private static NcclId Carry(IProcessGroup group, bool makes, int other)
    {
        using var bytes = zeros(NcclId.Bytes, uint8);
        if (makes)
        {
            using var made = tensor(Bytes(NcclLibrary.NewId()));
            group.Send(made, other);
            return Id(made);
        }
        group.Receive(bytes, other);
        return Id(bytes);
    }

    private void Open(string key, int[] members, IProcessGroup group, int rank)
    {
        using var id = group.Own == 0 ? tensor(Bytes(NcclLibrary.NewId())) : zeros(NcclId.Bytes, uint8);
        group.Broadcast(id, 0);
        Connect(key, Id(id), Array.IndexOf(members, rank), members.Length);
    }

    private NcclCommunicator Connect(string key, NcclId id, int own, int ranks) =>
        NcclCommunicator.Connect(id, own, ranks, Mesh.Calls, ConnectLimit, begun => _communicators[key] = begun);

    private static string Key(int[] members) => string.Join(',', members.Select(m => m.ToString("D5")));

    private static byte[] Bytes(NcclId id)
    {
        ReadOnlySpan<byte> bytes = id;
        return bytes.ToArray();
    }

    private static NcclId Id(Tensor bytes)
    {
        var id = new NcclId();
        bytes.data<byte>().ToArray().CopyTo(id);
        return id;
    }
}
