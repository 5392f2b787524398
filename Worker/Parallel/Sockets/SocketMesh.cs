namespace DeepSeekOps.Worker.Parallel.Sockets;

/// <summary>A rank's groups over TCP, as the layout has them.</summary>
public sealed class SocketMesh : IDisposable
{
    /// <summary>
    /// So long a call may wait without a byte moving: others may be loading, evaluating or saving meanwhile. It is that of PyTorch's NCCL
    /// groups; whoever watches the gang from outside is to notice much sooner.
    /// </summary>
    public static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);

    private readonly List<SocketGroup> _groups = [];
    private readonly PeerDoor _door;
    private readonly TimeSpan _limit;

    /// <param name="door">This rank's, open already.</param>
    public SocketMesh(GangLayout layout, int rank, Roster roster, PeerDoor door, TimeSpan? limit = null)
    {
        if (roster.Members.Length != layout.Ranks)
        {
            throw new InvalidDataException($"The roster of {roster.Gang} names {roster.Members.Length} ranks, its "
                + $"layout has {layout.Ranks}.");
        }
        (_door, _limit) = (door, limit ?? Limit);
        door.Form(roster, rank);
        var (calls, neighbours) = (new Calls(), layout.NeighboursOf(rank));
        IProcessGroup Group(string name, int[] members)
        {
            if (members.Length == 1)
            {
                return new Alone(calls);
            }
            var group = new SocketGroup(name, members, rank, door, calls, _limit);
            _groups.Add(group);
            return group;
        }
        Mesh = new Mesh(
            calls, Group("world", [.. Enumerable.Range(0, layout.Ranks)]), Group("data", neighbours.Data),
            Group("experts", neighbours.Experts),
            Group("replicas", neighbours.Replicas), Group("pipeline", neighbours.Pipeline), Group("model", neighbours.Model))
        {
            Mirror = neighbours.Mirror.Length > 1 ? Group("mirror", neighbours.Mirror) : null,
            Contexts = neighbours.Contexts.ToDictionary(c => c.Key, c => Group($"context {c.Key}", c.Value)),
            ExpertNodes = neighbours.ExpertNodes is not var (across, within) ? null
                : new NodeGroups(Group("experts between nodes", across), Group("experts of a node", within)),
        };
    }

    public Mesh Mesh { get; }

    /// <summary>
    /// Connections to the ranks before and after this one, which nothing travels over: they tell when one of them is gone.
    /// </summary>
    internal IReadOnlyList<PeerLink> Beside(int rank)
    {
        var ranks = Mesh.World.Ranks;
        return [.. new[] { (rank + ranks - 1) % ranks, (rank + 1) % ranks }.Distinct()
            .Select(peer => _door.LinkTo(peer, rank, "watch", Mesh.Calls, _limit))];
    }

    public void Dispose() => _groups.ForEach(g => g.Dispose());
}
