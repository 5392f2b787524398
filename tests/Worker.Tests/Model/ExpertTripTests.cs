using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Tests.Parallel;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Model;

/// <summary>
/// Tokens on their way to experts of other nodes, counted where they leave a node. Experts of these tests multiply by their number, so
/// that what comes back can be told without them.
/// </summary>
public sealed class ExpertTripTests
{
    private const int Hidden = 12;
    private const int Tokens = 40;

    /// <summary>Four groups of four experts; a token chooses four of at most two groups.</summary>
    private static readonly ModelShape Shape = ModelShapes.Presets["mini"] with { HiddenSize = Hidden };

    [Theory]
    [InlineData("ep=4,nodes=2")]
    [InlineData("ep=8,nodes=2")]
    [InlineData("ep=8,nodes=4")]
    [InlineData("dp=2,ep=4,nodes=4")]
    public void A_token_goes_once_to_each_node_of_its_experts_and_to_no_more_nodes_than_the_model_allows(string text)
    {
        var layout = GangLayout.Parse(text);
        var nodesOfAGroup = layout.Expert * layout.Nodes / layout.Ranks;
        var seen = SocketRanks.Run(layout, (rank, mesh) => Travel(layout, rank, mesh, layout.Nodes));
        var crossed = 0;
        foreach (var (rank, travelled) in seen.Index())
        {
            RequireRight(travelled);
            var first = rank / layout.Expert * layout.Expert; // of those that share its experts
            var nodes = travelled.Chosen
                .Select(t => t.Select(e => Node(layout, first + (e * layout.Expert / Shape.RoutedExperts))).Distinct().ToList()).ToList();
            Assert.All(nodes, n => Assert.InRange(n.Count, 1, Math.Min(Shape.LimitedGroups, nodesOfAGroup)));
            List<(float Token, int Node)> wanted = [.. nodes.SelectMany(
                (n, token) => n.Where(node => node != Node(layout, rank)).Select(node => ((float)token, node)))];
            var went = travelled.Of("out").Where(c => c.Columns == Hidden)
                .SelectMany(c => c.FirstNumbers.Select(token => (token, Node(layout, c.To)))).ToList();
            Assert.Equal(wanted.Order(), went.Order());
            // And no link is crossed but to the rank at the same place.
            Assert.All(travelled.Crossings, c => Assert.Equal(0, (c.To - rank) % (layout.Ranks / layout.Nodes)));
            crossed += wanted.Count;
        }
        var others = layout.Ranks * (nodesOfAGroup - 1);
        long row = sizeof(float) * Hidden, told = sizeof(float) * 2 * Shape.ActiveExperts,
            counts = sizeof(long) * (1 + (2 * layout.Ranks / layout.Nodes));
        Assert.Equal((crossed * (row + told)) + (others * counts), seen.Sum(t => t.Bytes("out")));
        Assert.Equal(crossed * row, seen.Sum(t => t.Bytes("back")));
        // The gradient goes the same way backwards, and asks for no counts.
        Assert.Equal(crossed * (row + row + told), seen.Sum(t => t.Bytes("gradient")));
    }

    /// <summary>The same ranks on the same nodes, whose layout does not know of them: a copy for each rank.</summary>
    [Fact]
    public void Between_nodes_go_bytes_of_nodes_and_not_of_ranks()
    {
        var layout = GangLayout.Parse("ep=8,nodes=2");
        var byNode = SocketRanks.Run(layout, (rank, mesh) => Travel(layout, rank, mesh, layout.Nodes));
        var plain = layout with { Nodes = 1 };
        var byRank = SocketRanks.Run(plain, (rank, mesh) => Travel(plain, rank, mesh, layout.Nodes));
        long Rows(Travelled[] of) => of.Sum(t => t.Of("out").Where(c => c.Columns == Hidden).Sum(c => c.FirstNumbers.Count));
        int Copies(Func<int, int> place) => byNode.Index().Sum(t => t.Item.Chosen.Sum(
            chosen => chosen.Select(e => e * layout.Expert / Shape.RoutedExperts).Where(r => Node(layout, r) != Node(layout, t.Index))
                .Select(place).Distinct().Count()));
        Assert.Equal(Copies(rank => Node(layout, rank)), Rows(byNode));
        Assert.Equal(Copies(rank => rank), Rows(byRank));
        Assert.True(Rows(byNode) * 1.5 < Rows(byRank), $"{Rows(byNode)} and {Rows(byRank)} rows");
        foreach (var (one, two) in byRank.Zip(byNode))
        {
            RequireRight(one);
            Assert.All(one.Result.Zip(two.Result), p => Assert.InRange(p.Second, p.First - Near(p.First), p.First + Near(p.First)));
        }
    }

    [Fact]
    public void A_rank_whose_tokens_or_experts_nobody_wants_goes_along()
    {
        var layout = GangLayout.Parse("ep=4,nodes=2");
        // All choose experts of the last rank alone; the first rank has no tokens.
        var seen = SocketRanks.Run(layout, (rank, mesh) => Travel(
            layout, rank, mesh, layout.Nodes, tokens: rank == 0 ? 0 : 5,
            _ => arange(Shape.RoutedExperts - Shape.ActiveExperts, Shape.RoutedExperts, int64)));
        Assert.All(seen, RequireRight);
        Assert.Equal([0, 5, 0, 0], seen.Select(t => t.Of("out").Where(c => c.Columns == Hidden).Sum(c => c.FirstNumbers.Count)));
    }

    private static int Node(GangLayout layout, int rank) => rank / (layout.Ranks / layout.Nodes);

    private static double Near(float number) => 1e-5 * (1 + Math.Abs(number));

    private static void RequireRight(Travelled seen)
    {
        Assert.All(seen.Result.Zip(seen.Wanted), p => Assert.Equal(p.Second, p.First, 1e-3));
        Assert.All(seen.Gradients.Zip(seen.WantedGradients), p => Assert.Equal(p.Second, p.First, 1e-3));
    }

    /// <param name="nodes">That the ranks lie on.</param>
    /// <param name="choose">Each token's experts; null: what a router says.</param>
    private static Travelled Travel(
        GangLayout layout, int rank, Mesh mesh, int nodes, int tokens = Tokens, Func<int, Tensor>? choose = null)
    {
        using var scope = NewDisposeScope();
        using var random = new Generator((ulong)rank + 1);
        var x = randn([tokens, Hidden], generator: random);
        x.select(1, 0).copy_(arange(tokens, float32)); // its first number is the token's
        x.requires_grad = true;
        var choice = choose is null ? Routed(x.detach()) : new RoutingChoice(
            stack([.. Enumerable.Range(0, Math.Max(1, tokens)).Select(choose)]).narrow(0, 0, tokens),
            rand([tokens, Shape.ActiveExperts], generator: random), empty(0));
        var gates = choice.Weights.detach().clone().requires_grad_();
        choice = choice with { Weights = gates };
        var links = new LinkCount(layout, rank) { OnNodes = nodes, Phase = "out" };
        var (own, place) = (Shape.RoutedExperts / layout.Expert, layout.Of(rank).Expert);
        var trip = ExpertTrip.Out(x, choice, Shape.RoutedExperts, links.At(mesh));
        Assert.Equal(trip.Choices, trip.Experts.less(own).sum().item<long>());
        var factors = (trip.Experts + (place * own) + 1).to(float32).masked_fill(trip.Experts == own, 0);
        links.Phase = "back";
        var made = trip.Back(trip.Arrived * (trip.Gates * factors).sum(1, keepdim: true));
        links.Phase = "gradient";
        var into = randn([tokens, Hidden], generator: random);
        made.backward([into]);
        var all = (choice.Experts + 1).to(float32);
        var share = (gates * all).sum(1, keepdim: true).detach();
        return new Travelled(
            links.Crossings,
            [.. Numbers(choice.Experts.to(float32)).Chunk(Shape.ActiveExperts).Select(c => Array.ConvertAll(c, e => (int)e))],
            Numbers(made), Numbers(x * share), [.. Numbers(x.grad!), .. Numbers(gates.grad!)],
            [.. Numbers(into * share), .. Numbers(all * (x * into).sum(1, keepdim: true))]);
    }

    private static RoutingChoice Routed(Tensor x)
    {
        using var random = new Generator(7);
        var weights = new Dictionary<string, Tensor>
        {
            ["weight"] = randn([Shape.RoutedExperts, Hidden], generator: random),
            ["e_score_correction_bias"] = zeros(Shape.RoutedExperts),
        };
        return new Router(Shape, name => weights[name], "").Choose(x.clone().index_fill_(1, tensor(new[] { 0L }), 0.5));
    }

    private static float[] Numbers(Tensor t) => t.numel() == 0 ? [] : t.detach().contiguous().data<float>().ToArray();

    private sealed record Travelled(
        IReadOnlyList<Crossing> Crossings, int[][] Chosen, float[] Result, float[] Wanted, float[] Gradients, float[] WantedGradients)
    {
        public IEnumerable<Crossing> Of(string phase) => Crossings.Where(c => c.Phase == phase);

        public long Bytes(string phase) => Of(phase).Sum(c => c.Bytes);
    }
}
