using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// The way of tokens to rows and back, [tokens, hidden] ↔ [rows, hidden]: a row for some or all of each token's choices, of an expert or of
/// a rank. Each direction is the other's gradient, and both only gather: index_select's own gradient adds with atomics, slower on a GPU
/// and in no fixed order.
/// </summary>
internal sealed class ExpertRows
{
    private readonly Mapping _mapping;

    /// <param name="order">[rows] of 0 to tokens · choices: which flattened choice each row is of; the permutation that sorts them where
    /// every choice has a row.</param>
    /// <param name="choices">Of one token.</param>
    /// <param name="tokens">Null: every choice has a row.</param>
    public ExpertRows(Tensor order, int choices, long? tokens = null)
    {
        Order = order;
        var rows = arange(order.shape[0], order.dtype, order.device);
        var places = tokens is not { } count ? empty_like(order).scatter_(0, order, rows)
            : full(count * choices, -1, order.dtype, order.device).scatter_(0, order, rows);
        _mapping = new Mapping(order.div(choices, RoundingMode.floor), places, choices, tokens is not null);
    }

    /// <summary>A row for each rank that a token has an expert at: by rank, and then by token.</summary>
    /// <param name="wanted">[tokens, ranks] bool.</param>
    /// <param name="rows">How many places of it are true.</param>
    public static ExpertRows ByRank(Tensor wanted, long rows)
    {
        var (tokens, ranks) = (wanted.shape[0], wanted.shape[1]);
        var byRank = wanted.t().flatten(); // [ranks · tokens]
        var place = arange(tokens * ranks, int64, wanted.device);
        var choice = (place.remainder(tokens) * ranks) + place.div(tokens, RoundingMode.floor);
        // How many rows a choice means cannot be told without waiting: those that mean none go to one place more, which is cut off.
        var into = byRank.to(int64).cumsum(0).sub(1).masked_fill(byRank.logical_not(), tokens * ranks);
        var order = zeros((tokens * ranks) + 1, int64, wanted.device).scatter_(0, into, choice).narrow(0, 0, rows);
        return new ExpertRows(order, (int)ranks, tokens);
    }

    /// <summary>[rows]: the flattened choice that each is of.</summary>
    public Tensor Order { get; }

    /// <summary>x [tokens, any]: its rows.</summary>
    public Tensor Spread(Tensor x) => SpreadFunction.apply(x, _mapping);

    /// <summary>rows [rows, any]: [tokens, any], the sum over each token's choices.</summary>
    public Tensor Collect(Tensor rows) => CollectFunction.apply(rows, _mapping);

    /// <param name="Tokens">[rows]: the token of each row.</param>
    /// <param name="Places">[tokens · choices]: the row of each of a token's choices; −1: it has none.</param>
    private sealed record Mapping(Tensor Tokens, Tensor Places, int Choices, bool Partly)
    {
        public Tensor Spread(Tensor x) => x.index_select(0, Tokens);

        public Tensor Collect(Tensor rows)
        {
            if (CudaKernels.Serve(rows))
            {
                return CudaKernels.CollectRows(rows.contiguous(), Places, Choices);
            }

            if (rows.shape[0] == 0)
            {
                return zeros([Places.shape[0] / Choices, rows.shape[1]], rows.dtype, rows.device);
            }

            using var scope = NewDisposeScope();
            var all = !Partly ? rows.index_select(0, Places)
                : rows.index_select(0, Places.clamp(min: 0)).masked_fill((Places < 0).unsqueeze(1), 0);
            return all.view(-1, Choices, rows.shape[1]).sum(1).MoveToOuterDisposeScope();
        }
    }

    // The graph keeps what the backward pass needs: the scope that the forward pass ran in may be over by then.
    private static void Keep(AutogradContext context, Mapping mapping)
    {
        context.save_for_backward([mapping.Tokens, mapping.Places]);
        context.save_data(nameof(Mapping), (mapping.Choices, mapping.Partly));
    }

    private static Mapping Kept(AutogradContext context)
    {
        var ((choices, partly), saved) = (((int, bool))context.get_data(nameof(Mapping)), context.get_saved_variables());
        return new Mapping(saved[0], saved[1], choices, partly);
    }

    private sealed class SpreadFunction : SingleTensorFunction<SpreadFunction>
    {
        public override string Name => nameof(SpreadFunction);

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            Keep(ctx, (Mapping)vars[1]);
            ctx.save_data(nameof(Spread), ((Tensor)vars[0]).shape);
            return ((Mapping)vars[1]).Spread((Tensor)vars[0]);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => CustomBackward.Run(
            grad_output, () => [Kept(ctx).Collect(grad_output), null], (long[])ctx.get_data(nameof(Spread)), null);
    }

    private sealed class CollectFunction : SingleTensorFunction<CollectFunction>
    {
        public override string Name => nameof(CollectFunction);

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            Keep(ctx, (Mapping)vars[1]);
            ctx.save_data(nameof(Collect), ((Tensor)vars[0]).shape);
            return ((Mapping)vars[1]).Collect((Tensor)vars[0]);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => CustomBackward.Run(
            grad_output, () => [Kept(ctx).Spread(grad_output), null], (long[])ctx.get_data(nameof(Collect)), null);
    }
}
