using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// The way of rows to members of a group that each have <paramref name="own"/> neighbouring experts, and back. A row goes to a member once,
/// however many of its experts are there, and what they make of it comes back as one sum. The gradient of one way is the other way, by
/// the same counts: neither asks again who sends how many.
/// </summary>
/// <param name="wanted">[rows, members] bool: where each row has an expert.</param>
/// <param name="sent">Rows to each member, which is what <paramref name="wanted"/> counts.</param>
/// <param name="received">Rows from each.</param>
internal sealed class ExpertHop(IProcessGroup members, int own, Tensor wanted, long[] sent, long[] received)
{
    private readonly ExpertRows _rows = ExpertRows.ByRank(wanted, sent.Sum());

    /// <param name="x">[rows, hidden].</param>
    /// <param name="gates">[rows, active] float32.</param>
    /// <param name="experts">[rows, active] int64, from 0 for the first member's first.</param>
    /// <returns>
    /// The same of the rows that arrived, by the member that sent them and then by their place there. Experts count from 0 for this
    /// member's first; those of others are <c>own</c>, and their gates 0.
    /// </returns>
    public (Tensor X, Tensor Gates, Tensor Experts) Out(Tensor x, Tensor gates, Tensor experts)
    {
        var active = experts.shape[1];
        var receiver = _rows.Order.remainder(members.Ranks).unsqueeze(1);
        var local = experts.index_select(0, _rows.Order.div(members.Ranks, RoundingMode.floor)) - (receiver * own);
        var elsewhere = (local < 0).logical_or(local >= own);
        // Experts travel beside their gates as numbers that float32 holds exactly.
        var told = cat([_rows.Spread(gates).masked_fill(elsewhere, 0), local.masked_fill(elsewhere, own).to(float32)], 1);
        var arrived = WayFunction.apply(_rows.Spread(x), this, true);
        var heard = WayFunction.apply(told, this, true);
        return (arrived, heard.narrow(1, 0, active), heard.narrow(1, active, active).detach().to(int64));
    }

    /// <summary>sums [arrived, hidden]: what became of each row, over all members that it went to, [rows, hidden].</summary>
    public Tensor Back(Tensor sums) => _rows.Collect(WayFunction.apply(sums, this, false));

    /// <summary>Where each row has an expert, [rows, members] bool; experts [rows, active] beyond the last member's are nowhere.</summary>
    public static Tensor Wanted(Tensor experts, int own, int members)
    {
        var member = experts.div(own, RoundingMode.floor);
        return zeros([experts.shape[0], members + 1], @bool, experts.device).scatter_(1, member, ones_like(member, @bool))
            .narrow(1, 0, members);
    }

    private Tensor Move(Tensor rows, bool there) =>
        there ? members.AllToAll(rows, sent, received) : members.AllToAll(rows, received, sent);

    private sealed class WayFunction : SingleTensorFunction<WayFunction>
    {
        public override string Name => nameof(ExpertHop);

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            ctx.save_data(nameof(ExpertHop), vars[1]);
            ctx.save_data(nameof(Back), vars[2]);
            return ((ExpertHop)vars[1]).Move((Tensor)vars[0], (bool)vars[2]);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            var (hop, there) = ((ExpertHop)ctx.get_data(nameof(ExpertHop)), (bool)ctx.get_data(nameof(Back)));
            var rows = there ? hop.Sent : hop.Received;
            return CustomBackward.Run(grad_output, () => [hop.Move(grad_output, !there), null, null], [rows, grad_output.shape[1]], null,
                null);
        }
    }

    private long Sent { get; } = sent.Sum();

    private long Received { get; } = received.Sum();
}
