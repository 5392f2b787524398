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
internal sealed class MixtureOfExperts(ModelShape shape, IReadOnlyDictionary<string, Tensor> weights, string prefix, bool fp8)
{
    private readonly Router _router = new(shape, weights, prefix + "gate.");
    // libtorch's grouped product wants rows whose bytes are a multiple of 16.
    private readonly bool _grouped = !fp8 && shape.HiddenSize % 8 == 0 && shape.MoeIntermediateSize % 8 == 0;

    /// <summary>u [batch, seq, hidden]: the same shape, and the use of the experts.</summary>
    public (Tensor Output, ExpertUse Use) Forward(Tensor u, bool balance)
    {
        var flat = u.reshape(-1, shape.HiddenSize); // [tokens, hidden]
        var choice = _router.Choose(flat);
        var routed = Routed(flat, choice, out var load).view(u.shape);
        if (shape.SharedExperts > 0)
        {
            routed = routed + SwiGlu.Forward(u, weights, prefix + "shared_experts.", fp8);
        }

        return (routed, new ExpertUse(load, balance ? _router.BalanceLoss(choice, u.shape[0]) : null));
    }

    /// <summary>Sorts tokens by expert, runs all experts as one grouped product, and adds up each token's share.</summary>
    private Tensor Routed(Tensor flat, RoutingChoice choice, out Tensor load)
    {
        var active = shape.ActiveExperts;
        var experts = choice.Experts.flatten(); // [tokens * active]
        var (sorted, order) = sort(experts, stable: true);
        var counts = bincount(sorted, minlength: shape.RoutedExperts);
        load = counts.to(float32);

        var rows = flat.index_select(0, order.div(active, RoundingMode.floor));
        var output = _grouped ? Grouped(rows, counts) : Looped(rows, counts);
        var perToken = output.index_select(0, order.argsort()).view(-1, active, shape.HiddenSize);
        return choice.Weights.to(flat.dtype).unsqueeze(1).bmm(perToken).squeeze(1);
    }

    private Tensor Grouped(Tensor rows, Tensor counts)
    {
        var ends = counts.cumsum(0).to(int32);
        var gateUp = Operators.GroupedMm(rows, GateUp.transpose(1, 2), ends);
        return Operators.GroupedMm(Activate(gateUp), Down.transpose(1, 2), ends);
    }

    private Tensor Looped(Tensor rows, Tensor counts)
    {
        var parts = rows.split(counts.data<long>().ToArray());
        return cat([.. parts.Select((part, expert) => Projection.Of(Activate(Projection.Of(part, GateUp[expert], fp8)), Down[expert], fp8))]);
    }

    private static Tensor Activate(Tensor gateUp)
    {
        var halves = gateUp.chunk(2, -1);
        return Operators.Silu(halves[0]) * halves[1];
    }

    private Tensor GateUp => weights[prefix + "experts.gate_up_proj"];

    private Tensor Down => weights[prefix + "experts.down_proj"];
}

/// <summary>down(silu(gate(x)) · up(x)): the dense MLP and the shared experts.</summary>
internal static class SwiGlu
{
    public static Tensor Forward(Tensor x, IReadOnlyDictionary<string, Tensor> weights, string prefix, bool fp8)
    {
        var gate = Operators.Silu(Projection.Of(x, weights[prefix + "gate_proj.weight"], fp8));
        return Projection.Of(gate * Projection.Of(x, weights[prefix + "up_proj.weight"], fp8), weights[prefix + "down_proj.weight"], fp8);
    }
}

/// <summary>x · Wᵀ in the precision that the model computes in.</summary>
internal static class Projection
{
    public static Tensor Of(Tensor x, Tensor weight, bool fp8) => fp8 && x.numel() > 0 ? Fp8Linear.Forward(x, weight) : linear(x, weight);
}
