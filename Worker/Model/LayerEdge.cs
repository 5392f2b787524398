using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// Where a layer begins: what goes in comes out as it is, and the backward pass tells when it comes by. By then it has made all gradients
/// of the layer: autograd takes the newest nodes first, and gradients of leaves before all others.
/// </summary>
internal sealed class LayerEdge : SingleTensorFunction<LayerEdge>
{
    public override string Name => nameof(LayerEdge);

    public static Tensor Of(Tensor hidden, Action passed) => apply(hidden, passed);

    public override Tensor forward(AutogradContext ctx, params object[] vars)
    {
        var hidden = (Tensor)vars[0];
        ctx.save_data(nameof(LayerEdge), vars[1]);
        return hidden.alias();
    }

    public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => CustomBackward.Run(
        grad_output,
        () =>
        {
            ((Action)ctx.get_data(nameof(LayerEdge)))();
            return [grad_output.alias(), null];
        },
        grad_output.shape, null);
}
