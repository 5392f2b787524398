using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// The way of tokens to their experts and back, [tokens, hidden] ↔ [tokens · active, hidden] sorted by expert. Each direction is the
/// other's gradient, and both only gather: index_select's own gradient adds with atomics, slower on a GPU and in no fixed order.
/// </summary>
internal sealed class ExpertRows
{
    private readonly int _active;
    private readonly Tensor _tokens; // [tokens · active]: the token of each sorted row
    private readonly Tensor _places; // [tokens · active]: the sorted row of each token's choices

    /// <param name="order">The permutation that sorts the flattened choices by expert.</param>
    public ExpertRows(Tensor order, int active)
    {
        _active = active;
        Order = order;
        _tokens = order.div(active, RoundingMode.floor);
        _places = empty_like(order).scatter_(0, order, arange(order.shape[0], order.dtype, order.device));
    }

    public Tensor Order { get; }

    /// <summary>x [tokens, hidden]: a row per choice, sorted by expert.</summary>
    public Tensor Spread(Tensor x) => SpreadFunction.apply(x, this);

    /// <summary>rows sorted by expert: [tokens, hidden], the sum over each token's choices.</summary>
    public Tensor Collect(Tensor rows) => CollectFunction.apply(rows, this);

    private Tensor SpreadRows(Tensor x) => x.index_select(0, _tokens);

    private Tensor CollectRows(Tensor rows)
    {
        if (CudaKernels.Serve(rows))
        {
            return CudaKernels.CollectRows(rows.contiguous(), _places, _active);
        }

        using var scope = NewDisposeScope();
        return rows.index_select(0, _places).view(-1, _active, rows.shape[1]).sum(1).MoveToOuterDisposeScope();
    }

    private sealed class SpreadFunction : SingleTensorFunction<SpreadFunction>
    {
        public override string Name => nameof(SpreadFunction);

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            ctx.save_data(nameof(ExpertRows), vars[1]);
            return ((ExpertRows)vars[1]).SpreadRows((Tensor)vars[0]);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            var rows = (ExpertRows)ctx.get_data(nameof(ExpertRows));
            return CustomBackward.Run(
                grad_output, () => [rows.CollectRows(grad_output), null], [grad_output.shape[0] / rows._active, grad_output.shape[1]],
                null);
        }
    }

    private sealed class CollectFunction : SingleTensorFunction<CollectFunction>
    {
        public override string Name => nameof(CollectFunction);

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            ctx.save_data(nameof(ExpertRows), vars[1]);
            return ((ExpertRows)vars[1]).CollectRows((Tensor)vars[0]);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            var rows = (ExpertRows)ctx.get_data(nameof(ExpertRows));
            return CustomBackward.Run(
                grad_output, () => [rows.SpreadRows(grad_output), null], [grad_output.shape[0] * rows._active, grad_output.shape[1]], null);
        }
    }
}
