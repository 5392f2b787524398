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
        NcclCommunicator.EndAll(_communicators.Values)?.Join();
        if (!_communicators.IsEmpty && Mesh.Calls.Aborted is not null)
        {
            // What was broken off gives its memory back beside the next forming; no kernel of it may still write into what is rolled back.
            CudaQueue.Finish();
        }
        _sockets.Dispose();
    }

    /// <summary>
    /// The neighbours first, who tell theirs. A GPU takes 0.3 to 0.4 s to give up its communicators (H200, NCCL 2.28.9): that is not waited
    /// for, only that their kernels have left.
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
            .. neighbours.Contexts.Select(c => (c.Value, plain.Contexts[c.Key])),
        ];
        // All ranks in one order, so that no two wait for each other in different ones.
        List<NcclPlace> places = [.. groups.Where(g => g.Group.Ranks > 1).DistinctBy(g => Key(g.Members))
            .OrderBy(g => Key(g.Members), StringComparer.Ordinal).Select(g => Place(Key(g.Members), g.Members, g.Group, rank))];
        HashSet<string> inPasses = [Key(neighbours.Experts), .. neighbours.Contexts.Values.Select(Key)];
        string Beside(int[] members, IProcessGroup group)
        {
            if (group.Ranks == 1 || !inPasses.Contains(Key(members)))
            {
                return Key(members);
            }
            // Else the passes' exchanges of tokens and latents would wait behind the sums that are made beside them.
            var key = "early " + Key(members);
            if (places.TrueForAll(p => p.Key != key))
            {
                places.Add(Place(key, members, group, rank));
            }
            return key;
        }
        var (dataKey, replicasKey) = (Beside(neighbours.Data, plain.Data), Beside(neighbours.Replicas, plain.Replicas));
        var ways = Ways(plain.Pipeline);
        places.AddRange(ways.Select(way => Place(way, neighbours.Pipeline, plain.Pipeline)));
        NcclCommunicator.Connect(places, Mesh.Calls, ConnectLimit, (key, begun) => _communicators[key] = begun);
        var (sends, receives) = Pairs(ways, neighbours.Pipeline, plain.Pipeline, device);
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
            Contexts = neighbours.Contexts.ToDictionary(c => c.Key, c => Of(c.Value, plain.Contexts[c.Key])),
        };
        if (plain.Data.Ranks > 1)
        {
            var queue = new QueueBeside(device.index);
            _opened.Add(queue);
            Mesh = Mesh with
            {
                Beside = new CallsBeside(
                    new NcclGroup(plain.Data, _communicators[dataKey], sends, receives, plain.Calls),
                    plain.Replicas.Ranks == 1 ? Mesh.Replicas
                        : new NcclGroup(plain.Replicas, _communicators[replicasKey], sends, receives, plain.Calls), queue.Run),
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

    /// <summary>Each way between neighbours of a pipeline its own: what goes one way never waits for what comes the other.</summary>
    private static (int From, int To)[] Ways(IProcessGroup pipeline) =>
        [.. Enumerable.Range(0, pipeline.Ranks - 1).SelectMany(i => new[] { (From: i, To: i + 1), (From: i + 1, To: i) })
            .Where(way => pipeline.Own == way.From || pipeline.Own == way.To)];

    /// <summary>Each has carried something before the first step, since the first time takes both.</summary>
    private (Dictionary<int, NcclSends> Sends, Dictionary<int, NcclCommunicator> Receives) Pairs(
        (int From, int To)[] ways, int[] pipeline, IProcessGroup group, Device device)
    {
        var (sends, receives) = (new Dictionary<int, NcclSends>(), new Dictionary<int, NcclCommunicator>());
        using var probe = zeros(1, float32, device);
        foreach (var (from, to) in ways)
        {
            var pair = _communicators[Key(pipeline, (from, to))];
            if (group.Own == from)
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

    private static NcclPlace Place((int From, int To) way, int[] pipeline, IProcessGroup group)
    {
        var sender = group.Own == way.From;
        return new NcclPlace(Key(pipeline, way), Carry(group, sender, sender ? way.To : way.From), sender ? 0 : 1, Ranks: 2);
    }

    private static NcclId Carry(IProcessGroup group, bool makes, int other)
    {
        using var bytes = zeros(NcclId.Bytes, uint8);
        if (makes)
        {
            using var made = NewId();
            group.Send(made, other);
            return Id(made);
        }
        group.Receive(bytes, other);
        return Id(bytes);
    }

    private static NcclPlace Place(string key, int[] members, IProcessGroup group, int rank)
    {
        using var id = group.Own == 0 ? NewId() : zeros(NcclId.Bytes, uint8);
        group.Broadcast(id, 0);
        return new NcclPlace(key, Id(id), Array.IndexOf(members, rank), members.Length);
    }

    private static string Key(int[] pipeline, (int From, int To) way) => $"{pipeline[way.From]}>{pipeline[way.To]}";

    private static string Key(int[] members) => string.Join(',', members.Select(m => m.ToString("D5")));

    internal static Tensor NewId()
    {
        var id = NcclLibrary.NewId();
        ReadOnlySpan<byte> bytes = id;
        return tensor(bytes.ToArray());
    }

    internal static NcclId Id(Tensor bytes)
    {
        var id = new NcclId();
        bytes.data<byte>().ToArray().CopyTo(id);
        return id;
    }
}
