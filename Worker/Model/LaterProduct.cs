using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;
using static TorchSharp.torch.nn.functional;

namespace DeepSeekOps.Worker.Model;

/// <summary>x · Wᵀ whose weight's gradient a backward pass may leave for later.</summary>
internal sealed class LaterProduct : SingleTensorFunction<LaterProduct>
{
    public override string Name => nameof(LaterProduct);

    /// <summary>x [..., in], weight [out, in]: [..., out].</summary>
    public static Tensor Forward(Tensor x, Tensor weight, LaterGradients later, LaterWeight target) =>
        apply(x.reshape(-1, x.shape[^1]), weight, later, target).view([.. x.shape[..^1], weight.shape[0]]);

    public override Tensor forward(AutogradContext ctx, params object[] vars)
    {
        var (x, weight) = ((Tensor)vars[0], (Tensor)vars[1]);
        ctx.save_for_backward([x, weight]);
        ctx.save_data(nameof(LaterGradients), vars[2]);
        ctx.save_data(nameof(LaterWeight), vars[3]);
        ctx.save_data(nameof(LaterProduct), new[] { x.shape, weight.shape });
        return linear(x, weight);
    }

    public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => CustomBackward.Run(
        grad_output,
        () =>
        {
            var saved = ctx.get_saved_variables();
            var ofX = grad_output.mm(saved[1]);
            var later = (LaterGradients)ctx.get_data(nameof(LaterGradients));
            if (!later.Leaves)
            {
                return [ofX, grad_output.t().mm(saved[0]), null, null];
            }
            later.Leave((LaterWeight)ctx.get_data(nameof(LaterWeight)), [grad_output, saved[0]], kept => kept[0].t().mm(kept[1]));
            return [ofX, null, null, null];
        },
        [.. (long[][])ctx.get_data(nameof(LaterProduct)), null, null]);
}

/// <summary>The same of rows in groups, each with a matrix of its own.</summary>
internal sealed class LaterGroupedProduct : SingleTensorFunction<LaterGroupedProduct>
{
    public override string Name => nameof(LaterGroupedProduct);

    /// <summary>rows [rows, in], weight [groups, out, in], ends [groups] int32: [rows, out].</summary>
    public static Tensor Forward(Tensor rows, Tensor weight, Tensor ends, LaterGradients later) =>
        apply(rows, weight, ends, later, new LaterWeight(weight, null));

    public override Tensor forward(AutogradContext ctx, params object[] vars)
    {
        var (rows, weight, ends) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2]);
        ctx.save_for_backward([rows, weight, ends]);
        ctx.save_data(nameof(LaterGradients), vars[3]);
        ctx.save_data(nameof(LaterWeight), vars[4]);
        ctx.save_data(nameof(LaterGroupedProduct), new[] { rows.shape, weight.shape });
        return Operators.GroupedMm(rows, weight.transpose(1, 2), ends);
    }

    public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => CustomBackward.Run(
        grad_output,
        () =>
        {
            var saved = ctx.get_saved_variables();
            var gradient = grad_output.contiguous();
            var ofRows = Operators.GroupedMm(gradient, saved[1], saved[2]);
            var later = (LaterGradients)ctx.get_data(nameof(LaterGradients));
            if (!later.Leaves)
            {
                return [ofRows, OfWeight([gradient, saved[0], saved[2]]), null, null, null];
            }
            later.Leave((LaterWeight)ctx.get_data(nameof(LaterWeight)), [gradient, saved[0], saved[2]], OfWeight);
            return [ofRows, null, null, null, null];
        },
        [.. (long[][])ctx.get_data(nameof(LaterGroupedProduct)), null, null, null]);

    /// <summary>Of each group: gradientᵀ · rows.</summary>
    private static Tensor OfWeight(Tensor[] kept) => Operators.GroupedMm(kept[0].t(), kept[1], kept[2]);
}
