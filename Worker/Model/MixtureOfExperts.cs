using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace DeepSeekOps.Worker.Model;

/// <summary>What one MoE layer tells of a forward pass.</summary>
/// <param name="Load">Tokens each expert got, [experts] float32, without gradient.</param>
/// <param name="Balance">Σ f_i P_i, mean over the sequences; null where it was not asked for.</param>
internal sealed record ExpertUse(Tensor Load, Tensor? Balance);

/// <summary>
/// DeepSeekMoE, report section 2.1.2: h = Σ shared(u) + Σ g_i · expert_i(u) (equations 12 to 16). No token is dropped.
/// </summary>
/// <param name="experts">The ranks that share the layer's routed experts; each holds as many.</param>
internal sealed class MixtureOfExperts(ModelShape shape, Weights weights, string prefix, ExpertRanks experts)
{
    private readonly Router _router = new(shape, name => weights[name], prefix + "gate.");
    // libtorch's grouped product wants rows whose bytes are a multiple of 16.
    private readonly bool _grouped = !weights.ExpertsOneByOne && shape.HiddenSize % 8 == 0 && shape.MoeIntermediateSize % 8 == 0;
    private readonly string _gateUp = prefix + "experts.gate_up_proj";
    private readonly string _down = prefix + "experts.down_proj";

    /// <summary>u [batch, seq, hidden]: the same shape, and the use of the experts.</summary>
    /// <param name="part">What of each sequence u has; null: all.</param>
    public (Tensor Output, ExpertUse Use) Forward(Tensor u, bool balance, SequencePart? part = null)
    {
        var flat = u.reshape(-1, shape.HiddenSize); // [tokens, hidden]
        var choice = _router.Choose(flat);
        var routed = Routed(flat, choice, out var load).view(u.shape);
        if (shape.SharedExperts > 0)
        {
            routed = routed + SwiGlu.Forward(u, weights, prefix + "shared_experts.");
        }

        return (routed, new ExpertUse(load, balance ? _router.BalanceLoss(choice, u.shape[0], part) : null));
    }

    /// <summary>Sorts tokens by expert; where ranks share the experts, each goes to the ranks of its experts and back.</summary>
    private Tensor Routed(Tensor flat, RoutingChoice choice, out Tensor load)
    {
        if (experts.All.Ranks == 1)
        {
            var (sorted, order, ends) = ByExpert(choice.Experts, shape.RoutedExperts);
            load = ends.diff(prepend: zeros(1, int32, flat.device)).to(float32);
            return Computed(flat, choice.Weights, sorted, order, ends);
        }

        // Whole numbers: exact, in whatever order they are added.
        load = zeros(shape.RoutedExperts, float32, flat.device)
            .scatter_add_(0, choice.Experts.flatten(), ones_like(choice.Experts, float32).flatten());
        var trip = ExpertTrip.Out(flat, choice, shape.RoutedExperts, experts);
        return trip.Back(Shared(trip));
    }

    /// <summary>What this rank's experts make of the tokens that arrived: [arrived, hidden], weighed and summed.</summary>
    private Tensor Shared(ExpertTrip trip)
    {
        var (arrived, active) = (trip.Arrived.shape[0], shape.ActiveExperts);
        var (sorted, order, ends) = ByExpert(trip.Experts, shape.RoutedExperts / experts.All.Ranks);
        // Choices of other ranks' experts are sorted behind the last own one.
        (sorted, order) = (sorted.narrow(0, 0, trip.Choices), order.narrow(0, 0, trip.Choices));
        if (weights.Fp8OnTensorCores && Fp8Experts.Takes(trip.Arrived, shape.MoeIntermediateSize))
        {
            return Fp8Experts.Forward(
                trip.Arrived, trip.Gates, weights[_gateUp], weights[_down], new PaddedRows(sorted, order, ends, active, arrived));
        }

        return Gathered(trip.Arrived, trip.Gates, new ExpertRows(order, active, arrived), ends);
    }

    private static (Tensor Sorted, Tensor Order, Tensor Ends) ByExpert(Tensor chosen, int experts)
    {
        var (sorted, order) = sort(chosen.flatten(), stable: true); // [rows * choices]
        // Counted on the device: bincount would wait for it.
        return (sorted, order, searchsorted(sorted, arange(experts, int64, chosen.device), out_int32: true, right: true));
    }

    /// <summary>Runs all experts as one grouped product, and adds up each row's share. gates [rows, choices].</summary>
    private Tensor Computed(Tensor flat, Tensor gates, Tensor sorted, Tensor order, Tensor ends)
    {
        var active = (int)gates.shape[1];
        if (weights.Fp8OnTensorCores && Fp8Experts.Takes(flat, shape.MoeIntermediateSize))
        {
            return Fp8Experts.Forward(flat, gates, weights[_gateUp], weights[_down], new PaddedRows(sorted, order, ends, active));
        }

        if (_grouped && weights.Mixed)
        {
            return Gathered(flat, gates, new ExpertRows(order, active), ends);
        }

        var rows = flat.index_select(0, order.div(active, RoundingMode.floor));
        var output = _grouped ? Down(SwiGlu.Packed(GateUp(rows, ends), null), ends) : Looped(rows, ends);
        return Weighed(output, gates, order);
    }

    /// <summary>rows sorted by expert: [tokens, hidden], each token's choices weighed by its gates.</summary>
    private Tensor Weighed(Tensor rows, Tensor gates, Tensor order)
    {
        var perToken = rows.index_select(0, order.argsort()).view(-1, gates.shape[1], shape.HiddenSize);
        return gates.to(rows.dtype).unsqueeze(1).bmm(perToken).squeeze(1);
    }

    /// <summary>The gate g multiplies what enters the last product, which is linear: that leaves a plain sum to collect.</summary>
    private Tensor Gathered(Tensor flat, Tensor gates, ExpertRows rows, Tensor ends)
    {
        var (spread, sorted) = (rows.Spread(flat), gates.flatten().index_select(0, rows.Order));
        return rows.Collect(_grouped ? Down(SwiGlu.Packed(GateUp(spread, ends), sorted), ends)
            : Looped(spread, ends) * sorted.to(spread.dtype).unsqueeze(1));
    }

    private Tensor GateUp(Tensor rows, Tensor ends) => weights.Grouped(rows, _gateUp, ends);

    private Tensor Down(Tensor activated, Tensor ends) => weights.Grouped(activated, _down, ends);

    private Tensor Looped(Tensor rows, Tensor ends)
    {
        var parts = rows.split(ends.diff(prepend: zeros(1, int32, rows.device)).to(int64).cpu().data<long>().ToArray());
        return cat(
            [.. parts.Select(
                (part, expert) => weights.Project(SwiGlu.Packed(weights.Project(part, _gateUp, expert), null), _down, expert))]);
    }
}
