using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// x [batch, seq, heads, dim] bfloat16 with the last numbers of each head rotated by rotations [seq, pairs] complex64 and the rest as they
/// are, in one kernel. The gradient is rotated back.
/// </summary>
internal sealed class RotatedTail : SingleTensorFunction<RotatedTail>
{
    public override string Name => nameof(RotatedTail);

    public static Tensor Of(Tensor x, Tensor rotations) => apply(x.contiguous(), rotations);

    public override Tensor forward(AutogradContext ctx, params object[] vars)
    {
        ctx.save_for_backward([(Tensor)vars[1]]);
        return CudaKernels.RotateTail((Tensor)vars[0], (Tensor)vars[1], back: false);
    }

    public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => CustomBackward.Run(
        grad_output,
        () => [CudaKernels.RotateTail(grad_output.contiguous(), ctx.get_saved_variables()[0], back: true), null],
        grad_output.shape, null);
}
