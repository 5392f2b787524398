using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// down(silu(gate(x)) · up(x)) with all its products in FP8 on tensor cores: what three <see cref="Fp8Linear"/> compute, but x is quantised
/// once, gate and up are one product, and what SwiGLU makes is never laid down in bfloat16.
/// </summary>
internal sealed class Fp8Mlp : SingleTensorFunction<Fp8Mlp>
{
    public override string Name => nameof(Fp8Mlp);

    public static bool Takes(Tensor x, Tensor gate) => x.device.type == DeviceType.CUDA && Fp8Linear.Takes(x, gate);

    /// <summary>x [..., hidden], gate and up [intermediate, hidden], down [hidden, intermediate]: [..., hidden].</summary>
    public static Tensor Forward(Tensor x, Tensor gate, Tensor up, Tensor down) =>
        apply(x.reshape(-1, x.shape[^1]), gate, up, down).view(x.shape);

    public override Tensor forward(AutogradContext ctx, params object[] vars)
    {
        var (x, gate, up, down) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (Tensor)vars[3]);
        var (entering, into) = (CudaKernels.Quantise(x.contiguous(), squares: false), CudaKernels.QuantiseSquares(gate, up));
        var opened = Operators.ScaledMm(entering.Values, into.Values.t(), entering.Scales.t(), into.Scales.t(), x.dtype);
        var (gated, outOf) = (CudaKernels.QuantiseSwiGlu(opened, weight: null), CudaKernels.QuantiseSquares(down));
        ctx.save_for_backward([
            entering.Turned, entering.TurnedScales, into.Turned, into.TurnedScales, gated.Turned, gated.TurnedScales, outOf.Turned,
            outOf.TurnedScales, opened]);
        ctx.save_data(nameof(Fp8Mlp), new[] { x.shape, gate.shape, up.shape, down.shape });
        return Operators.ScaledMm(gated.Values, outOf.Values.t(), gated.Scales.t(), outOf.Scales.t(), x.dtype);
    }

    public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => CustomBackward.Run(
        grad_output, () => Backward(ctx.get_saved_variables(), grad_output), (long[][])ctx.get_data(nameof(Fp8Mlp)));

    private static List<Tensor?> Backward(List<Tensor> saved, Tensor gradient)
    {
        var arriving = CudaKernels.Quantise(gradient.contiguous(), squares: false);
        var ofGated = Operators.ScaledMm(arriving.Values, saved[6].t(), arriving.Scales.t(), saved[7].t(), gradient.dtype);
        var ofDown = Operators.ScaledMm(arriving.Turned, saved[4].t(), arriving.TurnedScales.t(), saved[5], gradient.dtype);
        var ofOpened = CudaKernels.QuantiseSwiGluBackward(saved[8], weight: null, ofGated).GateUp;
        var ofX = Operators.ScaledMm(ofOpened.Values, saved[2].t(), ofOpened.Scales.t(), saved[3].t(), gradient.dtype);
        var halves = Operators.ScaledMm(ofOpened.Turned, saved[0].t(), ofOpened.TurnedScales.t(), saved[1], gradient.dtype).chunk(2, 0);
        return [ofX, halves[0], halves[1], ofDown];
    }
}
