using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// The way of tokens to the ranks of their experts and back. Where those ranks lie on several nodes a token goes once to each node that has
/// experts which it chose, to the rank at its sender's place there, and that one passes it on; back comes one sum of a node.
/// </summary>
internal sealed class ExpertTrip
{
    private readonly ExpertHop[] _hops;

    private ExpertTrip(ExpertHop[] hops, long choices, (Tensor X, Tensor Gates, Tensor Experts) arrived)
    {
        (_hops, Choices) = (hops, choices);
        (Arrived, Gates, Experts) = arrived;
    }

    /// <summary>[arrived, hidden], by the rank that sent or passed them on and then by their place there.</summary>
    public Tensor Arrived { get; }

    /// <summary>[arrived, active] float32: gates g, 0 for experts of other ranks.</summary>
    public Tensor Gates { get; }

    /// <summary>[arrived, active] int64: which of this rank's experts, from 0; how many there are: another rank's.</summary>
    public Tensor Experts { get; }

    /// <summary>How many of <see cref="Experts"/> are this rank's.</summary>
    public long Choices { get; }

    /// <param name="tokens">[tokens, hidden].</param>
    /// <param name="experts">Of the layer, on all ranks.</param>
    public static ExpertTrip Out(Tensor tokens, RoutingChoice choice, int experts, ExpertRanks ranks) =>
        // A token with one choice goes to one rank: to stop on the way saves nothing.
        ranks.Nodes is { } nodes && choice.Experts.shape[1] > 1 ? ByNode(tokens, choice, experts, nodes)
            : ByRank(tokens, choice, experts, ranks.All);

    /// <summary>sums [arrived, hidden]: what became of each token, over all ranks that it went to, [tokens, hidden].</summary>
    public Tensor Back(Tensor sums)
    {
        for (var hop = _hops.Length - 1; hop >= 0; hop--)
        {
            sums = _hops[hop].Back(sums);
        }
        return sums;
    }

    private static ExpertTrip ByRank(Tensor tokens, RoutingChoice choice, int experts, IProcessGroup ranks)
    {
        var own = experts / ranks.Ranks;
        var wanted = ExpertHop.Wanted(choice.Experts, own, ranks.Ranks);
        var going = stack([Rows(wanted), Choosing(choice.Experts, own, ranks.Ranks)], 1);
        var coming = ranks.AllToAll(going, One(ranks), One(ranks));
        // [there and back, ranks, rows and choices] on the host, in one wait for the device.
        var counts = cat([going, coming]).cpu().data<long>().ToArray().Chunk(2).ToList();
        var (sent, received) = (counts[..ranks.Ranks], counts[ranks.Ranks..]);
        var hop = new ExpertHop(ranks, own, wanted, [.. sent.Select(c => c[0])], [.. received.Select(c => c[0])]);
        return new ExpertTrip([hop], received.Sum(c => c[1]), hop.Out(tokens, choice.Weights, choice.Experts));
    }

    private static ExpertTrip ByNode(Tensor tokens, RoutingChoice choice, int experts, NodeGroups groups)
    {
        var (nodes, places) = (groups.Across.Ranks, groups.Within.Ranks);
        var (ofRank, ofNode) = (experts / (nodes * places), experts / nodes);
        var wanted = ExpertHop.Wanted(choice.Experts, ofNode, nodes);
        // The sender knows all of its tokens' ways: it tells each node how many rows are to be passed on to each rank there.
        var going = cat(
            [
                Rows(wanted).unsqueeze(1), Rows(ExpertHop.Wanted(choice.Experts, ofRank, nodes * places)).view(nodes, places),
                Choosing(choice.Experts, ofRank, nodes * places).view(nodes, places),
            ], 1);
        var coming = groups.Across.AllToAll(going, One(groups.Across), One(groups.Across));
        var passed = coming.narrow(1, 1, 2 * places).sum([0L]).view(2, places).t().contiguous(); // [places, rows and choices]
        var arriving = groups.Within.AllToAll(passed, One(groups.Within), One(groups.Within));
        // On the host, in one wait for the device: nobody has to look at what arrived before it can be passed on.
        var counts = cat([going.select(1, 0), coming.select(1, 0), passed.select(1, 0), arriving.t().flatten()])
            .cpu().data<long>().ToArray();
        long[] Next(int count)
        {
            var taken = counts[..count];
            counts = counts[count..];
            return taken;
        }
        var across = new ExpertHop(groups.Across, ofNode, wanted, Next(nodes), Next(nodes));
        var (sent, received) = (Next(places), Next(places));
        var there = across.Out(tokens, choice.Weights, choice.Experts);
        var within = new ExpertHop(groups.Within, ofRank, ExpertHop.Wanted(there.Experts, ofRank, places), sent, received);
        return new ExpertTrip([across, within], counts.Sum(), within.Out(there.X, there.Gates, there.Experts));
    }

    private static Tensor Rows(Tensor wanted) => wanted.to(int64).sum([0L]);

    /// <summary>How many choices are of each member's experts, [members].</summary>
    private static Tensor Choosing(Tensor experts, int own, int members)
    {
        var member = experts.div(own, RoundingMode.floor).flatten();
        return zeros(members, int64, experts.device).scatter_add_(0, member, ones_like(member));
    }

    private static long[] One(IProcessGroup ranks) => [.. Enumerable.Repeat(1L, ranks.Ranks)];
}
