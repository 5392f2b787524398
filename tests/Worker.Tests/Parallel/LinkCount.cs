using DeepSeekOps.Worker.Parallel;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Parallel;

/// <summary>What one rank gave to ranks of other nodes.</summary>
/// <param name="Phase">Of the test.</param>
/// <param name="FirstNumbers">Of each row.</param>
internal sealed record Crossing(string Phase, int To, long Bytes, IReadOnlyList<float> FirstNumbers, long Columns);

/// <summary>Stands at the links of a rank: everything that leaves its node by an all-to-all is noted.</summary>
internal sealed class LinkCount(GangLayout layout, int rank)
{
    private readonly List<Crossing> _crossings = [];

    public string Phase { get; set; } = "";

    public IReadOnlyList<Crossing> Crossings => _crossings;

    public ExpertRanks At(Mesh mesh)
    {
        var neighbours = layout.NeighboursOf(rank);
        return new ExpertRanks(new Link(this, mesh.Experts, neighbours.Experts))
        {
            Nodes = neighbours.ExpertNodes is not var (across, within) || mesh.ExpertNodes is not { } nodes ? null
                : new NodeGroups(new Link(this, nodes.Across, across), new Link(this, nodes.Within, within)),
        };
    }

    /// <summary>So many nodes the ranks lie on, which need not be what the layout says.</summary>
    public int OnNodes { get; init; } = layout.Nodes;

    public int NodeOf(int who) => who / (layout.Ranks / OnNodes);

    private void Note(Tensor rows, int to)
    {
        if (NodeOf(to) != NodeOf(rank) && rows.shape[0] > 0)
        {
            using var scope = NewDisposeScope();
            var first = rows.detach().reshape(rows.shape[0], -1).select(1, 0).to(float32).contiguous().data<float>().ToArray();
            _crossings.Add(new Crossing(Phase, to, rows.numel() * rows.element_size(), first, rows.numel() / rows.shape[0]));
        }
    }

    private sealed class Link(LinkCount count, IProcessGroup group, int[] members) : IProcessGroup
    {
        public int Ranks => group.Ranks;

        public int Own => group.Own;

        public Tensor AllToAll(Tensor rows, IReadOnlyList<long> sent, IReadOnlyList<long> received)
        {
            foreach (var (part, to) in rows.split([.. sent]).Zip(members))
            {
                count.Note(part, to);
            }
            return group.AllToAll(rows, sent, received);
        }

        public void AllReduce(IReadOnlyList<Tensor> tensors) => throw Uncounted();

        public Tensor ReduceScatter(Tensor parts) => throw Uncounted();

        public Tensor AllGather(Tensor part) => throw Uncounted();

        public void Broadcast(Tensor tensor, int from) => throw Uncounted();

        public void Give(IReadOnlyList<Tensor> tensors, IReadOnlyList<int> owners) => throw Uncounted();

        public long Broadcast(long value) => throw Uncounted();

        public void Send(Tensor tensor, int to) => throw Uncounted();

        public void Receive(Tensor into, int from) => throw Uncounted();

        public void Barrier() => throw Uncounted();

        private static NotSupportedException Uncounted() => new("Nothing but an all-to-all is counted here.");
    }
}
