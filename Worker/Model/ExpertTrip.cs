using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// The way of rows to the ranks of their experts and back. The gradient of one way is the other way, by the same counts: neither asks
/// again who sends how many.
/// </summary>
internal sealed class ExpertTrip
{
    private readonly IProcessGroup _ranks;
    private readonly long[] _sent;
    private readonly long[] _received;

    private ExpertTrip(IProcessGroup ranks, long[] sent, long[] received, Tensor experts) =>
        (_ranks, _sent, _received, Experts) = (ranks, sent, received, experts);

    /// <summary>[arrived, 1] int64: which of this rank's experts each row is for, from 0.</summary>
    public Tensor Experts { get; }

    /// <param name="rows">[rows, hidden], sorted by expert.</param>
    /// <param name="load">[all experts]: rows for each.</param>
    /// <returns>[arrived, hidden]: rows for this rank's experts, by the rank that sent them and then by expert.</returns>
    public static (Tensor Arrived, ExpertTrip Trip) Out(Tensor rows, Tensor load, IProcessGroup ranks)
    {
        var own = load.shape[0] / ranks.Ranks;
        long[] each = [.. Enumerable.Repeat(1L, ranks.Ranks)];
        var going = load.detach().to(int64).view(ranks.Ranks, own);
        var coming = ranks.AllToAll(going, each, each); // [ranks, own experts]
        var trip = new ExpertTrip(
            ranks, PerRank(going), PerRank(coming),
            arange(own, int64, rows.device).repeat(ranks.Ranks).repeat_interleave(coming.flatten().to(rows.device)).unsqueeze(1));
        return (WayFunction.apply(rows, trip, true), trip);
    }

    /// <summary>rows [arrived, hidden] in the order of arrival: back where they came from, in the order they were sent in.</summary>
    public Tensor Back(Tensor rows) => WayFunction.apply(rows, this, false);

    private static long[] PerRank(Tensor counts) => counts.sum(1).cpu().data<long>().ToArray();

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
