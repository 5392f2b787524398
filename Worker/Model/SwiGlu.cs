using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace DeepSeekOps.Worker.Model;

/// <summary>down(silu(gate(x)) · up(x)): the dense MLP, the shared experts, and the middle of the routed ones.</summary>
internal static class SwiGlu
{
    public static Tensor Forward(Tensor x, Weights weights, string prefix)
    {
        if (weights.Fp8OnTensorCores && Fp8Mlp.Takes(x, weights[prefix + "gate_proj.weight"]))
        {
            return Fp8Mlp.Forward(x, weights[prefix + "gate_proj.weight"], weights[prefix + "up_proj.weight"],
                weights[prefix + "down_proj.weight"]);
        }

        var (gate, up) = (weights.Project(x, prefix + "gate_proj.weight"), weights.Project(x, prefix + "up_proj.weight"));
        var activated = CudaKernels.Serve(gate) ? PairFunction.apply(gate, up) : Operators.Silu(gate) * up;
        return weights.Project(activated, prefix + "down_proj.weight");
    }

    /// <summary>
    /// silu(gate) · up of gate and up side by side, [rows, 2 · width]: [rows, width]. With weights [rows] float32 each row is multiplied by
    /// its own.
    /// </summary>
    public static Tensor Packed(Tensor gateUp, Tensor? rowWeights)
    {
        if (rowWeights is not null && CudaKernels.Serve(gateUp) && gateUp.shape[1] % 16 == 0)
        {
            return PackedFunction.apply(gateUp, rowWeights);
        }

        var halves = gateUp.chunk(2, -1);
        var activated = Operators.Silu(halves[0]) * halves[1];
        return rowWeights is null ? activated : activated * rowWeights.to(gateUp.dtype).unsqueeze(1);
    }

    private sealed class PairFunction : SingleTensorFunction<PairFunction>
    {
        public override string Name => nameof(PairFunction);

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var (gate, up) = ((Tensor)vars[0], (Tensor)vars[1]);
            ctx.save_for_backward([gate, up]);
            return CudaKernels.SwiGlu(gate, up, null);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => CustomBackward.Run(
            grad_output,
            () =>
            {
                var saved = ctx.get_saved_variables();
                var (gate, up) = (empty_like(saved[0]), empty_like(saved[1]));
                CudaKernels.SwiGluBackward(saved[0], saved[1], null, grad_output.contiguous(), gate, up, null);
                return [gate, up];
            },
            grad_output.shape, grad_output.shape);
    }

    private sealed class PackedFunction : SingleTensorFunction<PackedFunction>
    {
        public override string Name => nameof(PackedFunction);

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var (gateUp, rowWeights) = ((Tensor)vars[0], (Tensor)vars[1]);
            ctx.save_for_backward([gateUp, rowWeights]);
            var halves = gateUp.chunk(2, -1);
            return CudaKernels.SwiGlu(halves[0], halves[1], rowWeights);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => CustomBackward.Run(
            grad_output,
            () =>
            {
                var saved = ctx.get_saved_variables();
                var (gradients, gradWeights) = (empty_like(saved[0]), empty_like(saved[1]));
                var (halves, into) = (saved[0].chunk(2, -1), gradients.chunk(2, -1));
                CudaKernels.SwiGluBackward(halves[0], halves[1], saved[1], grad_output.contiguous(), into[0], into[1], gradWeights);
                return [gradients, gradWeights];
            },
            [grad_output.shape[0], 2 * grad_output.shape[1]], [grad_output.shape[0]]);
    }
}
