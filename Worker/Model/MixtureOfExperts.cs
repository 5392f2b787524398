using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace DeepSeekOps.Worker.Model;

/// <summary>What one MoE layer tells of a forward pass.</summary>
/// <param name="Load">Tokens each expert got, [experts] float32, without gradient.</param>
/// <param name="Balance">Σ f_i P_i, mean over the sequences; null where it was not asked for.</param>
internal sealed record ExpertUse(Tensor Load, Tensor? Balance);

/// <summary>DeepSeekMoE, report section 2.1.2: h = Σ shared(u) + Σ g_i · expert_i(u) (equations 12 to 16). No token is dropped.</summary>
internal sealed class MixtureOfExperts(ModelShape shape, Weights weights, string prefix)
{
    private readonly Router _router = new(shape, weights.Masters, prefix + "gate.");
    // libtorch's grouped product wants rows whose bytes are a multiple of 16.
    private readonly bool _grouped = !weights.ExpertsOneByOne && shape.HiddenSize % 8 == 0 && shape.MoeIntermediateSize % 8 == 0;
    private readonly string _gateUp = prefix + "experts.gate_up_proj";
    private readonly string _down = prefix + "experts.down_proj";

    /// <summary>u [batch, seq, hidden]: the same shape, and the use of the experts.</summary>
    public (Tensor Output, ExpertUse Use) Forward(Tensor u, bool balance)
    {
        var flat = u.reshape(-1, shape.HiddenSize); // [tokens, hidden]
        var choice = _router.Choose(flat);
        var routed = Routed(flat, choice, out var load).view(u.shape);
        if (shape.SharedExperts > 0)
        {
            routed = routed + SwiGlu.Forward(u, weights, prefix + "shared_experts.");
        }

        return (routed, new ExpertUse(load, balance ? _router.BalanceLoss(choice, u.shape[0]) : null));
    }

    /// <summary>Sorts tokens by expert, runs all experts as one grouped product, and adds up each token's share.</summary>
    private Tensor Routed(Tensor flat, RoutingChoice choice, out Tensor load)
    {
        var active = shape.ActiveExperts;
        var (sorted, order) = sort(choice.Experts.flatten(), stable: true); // [tokens * active]
        // Counted on the device: bincount would wait for it.
        var everyExpert = arange(shape.RoutedExperts, int64, flat.device);
        var ends = searchsorted(sorted, everyExpert, out_int32: true, right: true);
        load = ends.diff(prepend: zeros(1, int32, flat.device)).to(float32);
        if (weights.Fp8OnTensorCores && Fp8Experts.Takes(flat, shape.MoeIntermediateSize))
        {
            return Fp8Experts.Forward(flat, choice.Weights, weights[_gateUp], weights[_down], new PaddedRows(sorted, order, ends, active));
        }

        if (_grouped && weights.Mixed)
        {
            return Gathered(flat, choice, new ExpertRows(order, active), ends);
        }

        var rows = flat.index_select(0, order.div(active, RoundingMode.floor));
        var output = _grouped ? Down(SwiGlu.Packed(GateUp(rows, ends), null), ends) : Looped(rows, load);
        var perToken = output.index_select(0, order.argsort()).view(-1, active, shape.HiddenSize);
        return choice.Weights.to(flat.dtype).unsqueeze(1).bmm(perToken).squeeze(1);
    }

    /// <summary>The gate g multiplies what enters the last product, which is linear: that leaves a plain sum to collect.</summary>
    private Tensor Gathered(Tensor flat, RoutingChoice choice, ExpertRows rows, Tensor ends)
    {
        var gates = choice.Weights.flatten().index_select(0, rows.Order);
        return rows.Collect(Down(SwiGlu.Packed(GateUp(rows.Spread(flat), ends), gates), ends));
    }

    private Tensor GateUp(Tensor rows, Tensor ends) => Operators.GroupedMm(rows, weights[_gateUp].transpose(1, 2), ends);

    private Tensor Down(Tensor activated, Tensor ends) => Operators.GroupedMm(activated, weights[_down].transpose(1, 2), ends);

    private Tensor Looped(Tensor rows, Tensor load)
    {
        var parts = rows.split(load.to(int64).cpu().data<long>().ToArray());
        return cat([.. parts.Select((part, expert) => weights.Project(SwiGlu.Packed(weights.Project(part, _gateUp, expert), null), _down, expert))]);
    }
}
