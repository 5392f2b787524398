using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// The way of tokens to the ranks of their experts and back. A token goes to a rank once, however many of its experts are there, and what
/// they make of it comes back as one sum. The gradient of one way is the other way, by the same counts: neither asks again who sends
/// how many.
/// </summary>
internal sealed class ExpertTrip
{
    private readonly IProcessGroup _ranks;
    private readonly ExpertRows _rows;
    private readonly long[] _sent;
    private readonly long[] _received;

    private ExpertTrip(IProcessGroup ranks, ExpertRows rows, long[] sent, long[] received, long choices) =>
        (_ranks, _rows, _sent, _received, Choices) = (ranks, rows, sent, received, choices);

    /// <summary>[arrived, hidden], by the rank that sent them and then by their place there.</summary>
    public Tensor Arrived { get; private set; } = null!;

    /// <summary>[arrived, active] float32: gates g, 0 for experts of other ranks.</summary>
    public Tensor Gates { get; private set; } = null!;

    /// <summary>[arrived, active] int64: which of this rank's experts, from 0; how many there are: another rank's.</summary>
    public Tensor Experts { get; private set; } = null!;

    /// <summary>How many of <see cref="Experts"/> are this rank's.</summary>
    public long Choices { get; }

    /// <param name="tokens">[tokens, hidden].</param>
    /// <param name="experts">Of the layer, on all ranks.</param>
    public static ExpertTrip Out(Tensor tokens, RoutingChoice choice, int experts, IProcessGroup ranks)
    {
        var (own, active) = (experts / ranks.Ranks, choice.Experts.shape[1]);
        var rank = choice.Experts.div(own, RoundingMode.floor); // [tokens, active]
        var wanted = zeros([tokens.shape[0], ranks.Ranks], @bool, tokens.device).scatter_(1, rank, ones_like(rank, @bool));
        var choices = zeros(ranks.Ranks, int64, tokens.device).scatter_add_(0, rank.flatten(), ones_like(rank).flatten());
        var going = stack([wanted.to(int64).sum([0L]), choices], 1);
        long[] each = [.. Enumerable.Repeat(1L, ranks.Ranks)];
        // [there and back, ranks, rows and choices] on the host, in one wait for the device.
        var counts = cat([going, ranks.AllToAll(going, each, each)]).cpu().data<long>().ToArray().Chunk(2).ToList();
        var (sent, received) = (counts[..ranks.Ranks], counts[ranks.Ranks..]);
        var rows = ExpertRows.ByRank(wanted, sent.Sum(c => c[0]));
        var trip = new ExpertTrip(
            ranks, rows, [.. sent.Select(c => c[0])], [.. received.Select(c => c[0])], received.Sum(c => c[1]));
        var receiver = rows.Order.remainder(ranks.Ranks).unsqueeze(1);
        var local = choice.Experts.index_select(0, rows.Order.div(ranks.Ranks, RoundingMode.floor)) - (receiver * own);
        var elsewhere = (local < 0).logical_or(local >= own);
        // Experts travel beside their gates as numbers that float32 holds exactly.
        var told = cat([rows.Spread(choice.Weights).masked_fill(elsewhere, 0), local.masked_fill(elsewhere, own).to(float32)], 1);
        trip.Arrived = WayFunction.apply(rows.Spread(tokens), trip, true);
        var heard = WayFunction.apply(told, trip, true);
        (trip.Gates, trip.Experts) = (heard.narrow(1, 0, active), heard.narrow(1, active, active).detach().to(int64));
        return trip;
    }

    /// <summary>sums [arrived, hidden]: what became of each token, over all ranks that it went to, [tokens, hidden].</summary>
    public Tensor Back(Tensor sums) => _rows.Collect(WayFunction.apply(sums, this, false));

    private Tensor Move(Tensor rows, bool there) =>
        there ? _ranks.AllToAll(rows, _sent, _received) : _ranks.AllToAll(rows, _received, _sent);

    private sealed class WayFunction : SingleTensorFunction<WayFunction>
    {
        public override string Name => nameof(ExpertTrip);

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            ctx.save_data(nameof(ExpertTrip), vars[1]);
            ctx.save_data(nameof(Back), vars[2]);
            return ((ExpertTrip)vars[1]).Move((Tensor)vars[0], (bool)vars[2]);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            var (trip, there) = ((ExpertTrip)ctx.get_data(nameof(ExpertTrip)), (bool)ctx.get_data(nameof(Back)));
            var rows = (there ? trip._sent : trip._received).Sum();
            return CustomBackward.Run(grad_output, () => [trip.Move(grad_output, !there), null, null], [rows, grad_output.shape[1]], null,
                null);
        }
    }
}
