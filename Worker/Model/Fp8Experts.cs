using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// The routed experts of a layer with all their products in FP8 (report section 3.3), on Hopper. Rows are quantised where they are made: as
/// tokens are spread to their experts, as SwiGLU gates them, as gradients come back. So the experts read and write bytes, and no
/// bfloat16 copy of the rows is ever laid down.
/// </summary>
internal sealed class Fp8Experts : SingleTensorFunction<Fp8Experts>
{
    public override string Name => nameof(Fp8Experts);

    public static bool Takes(Tensor x, long intermediate) =>
        CudaKernels.Serve(x) && x.shape[^1] % Fp8.Block == 0 && intermediate % Fp8.Block == 0 && Fp8Products.Available;

    /// <summary>
    /// x [tokens, hidden], gates [tokens, active] float32 (g of equation 13), gateUp [experts, 2 · intermediate, hidden], down [experts,
    /// hidden, intermediate]: [tokens, hidden].
    /// </summary>
    public static Tensor Forward(Tensor x, Tensor gates, Tensor gateUp, Tensor down, PaddedRows rows) =>
        apply(x, gates, gateUp, down, rows);

    public override Tensor forward(AutogradContext ctx, params object[] vars)
    {
        var (x, gates, gateUp, down, rows) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (Tensor)vars[3], (PaddedRows)vars[4]);
        var perRow = rows.Spread(gates);
        var (entering, into) = (CudaKernels.QuantiseSelected(x.contiguous(), rows.Tokens), Squares(gateUp));
        var opened = Fp8Products.Rows(entering.Values, entering.Scales, into.Values, into.Scales, rows.Groups, turned: false);
        var (gated, outOf) = (CudaKernels.QuantiseSwiGlu(opened, perRow), Squares(down));
        var left = Fp8Products.Rows(gated.Values, gated.Scales, outOf.Values, outOf.Scales, rows.Groups, turned: false);
        ctx.save_for_backward([
            entering.Turned, entering.TurnedScales, into.Turned, into.TurnedScales, gated.Turned, gated.TurnedScales, outOf.Turned,
            outOf.TurnedScales,
            opened, perRow]);
        ctx.save_data(nameof(PaddedRows), rows);
        ctx.save_data(nameof(Fp8Experts), new[] { x.shape, gates.shape, gateUp.shape, down.shape });
        return rows.Collect(left);
    }

    public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
    {
        var shapes = (long[][])ctx.get_data(nameof(Fp8Experts));
        return CustomBackward.Run(
            grad_output, () => Backward(ctx.get_saved_variables(), grad_output, (PaddedRows)ctx.get_data(nameof(PaddedRows))),
            [.. shapes, null]);
    }

    private static List<Tensor?> Backward(List<Tensor> saved, Tensor gradient, PaddedRows rows)
    {
        var arriving = CudaKernels.QuantiseSelected(gradient.contiguous(), rows.Tokens);
        var ofGated = Fp8Products.Rows(arriving.Values, arriving.Scales, saved[6], saved[7], rows.Groups, turned: true);
        var ofDown = Fp8Products.Tokens(arriving.Turned, arriving.TurnedScales, saved[4], saved[5], rows.Groups);
        var (ofOpened, ofRow) = CudaKernels.QuantiseSwiGluBackward(saved[8], saved[9], ofGated);
        var ofEntering = Fp8Products.Rows(ofOpened.Values, ofOpened.Scales, saved[2], saved[3], rows.Groups, turned: true);
        var ofGateUp = Fp8Products.Tokens(ofOpened.Turned, ofOpened.TurnedScales, saved[0], saved[1], rows.Groups);
        return [rows.Collect(ofEntering), rows.PerChoice(ofRow!), ofGateUp, ofDown, null];
    }

    private static QuantisedMatrix Squares(Tensor weight) => CudaKernels.Quantise(weight.view(-1, weight.shape[^1]), squares: true);
}

/// <summary>
/// The rows of sorted choices with each expert's padded to a multiple of 128: tokens · active rows and at most 128 more per expert, a
/// number that the routing does not change, so nothing waits for the device.
/// </summary>
internal sealed class PaddedRows
{
    private readonly int _active;
    private readonly Tensor _places; // [tokens · active] int64: the row of each token's choices

    /// <param name="sorted">[tokens · active]: the expert of each choice in order; <paramref name="order"/> sorts the flattened choices
    /// so.</param>
    /// <param name="ends">[experts] int32: the choice behind each expert's last.</param>
    public PaddedRows(Tensor sorted, Tensor order, Tensor ends, int active)
    {
        _active = active;
        var (choices, experts, device) = (order.shape[0], ends.shape[0], ends.device);
        var rows = ((choices + Fp8.Block - 1) / Fp8.Block * Fp8.Block) + (experts * Fp8.Block);
        var loads = ends.diff(prepend: zeros(1, int32, device));
        var padded = (loads + (Fp8.Block - 1)).div(Fp8.Block, RoundingMode.floor) * Fp8.Block;
        var paddedEnds = padded.cumsum(0).to(int32);
        // How far each expert's rows move down.
        var shift = paddedEnds - padded - ends + loads;
        var row = arange(choices, int64, device: device) + shift.index_select(0, sorted);
        _places = empty_like(order).scatter_(0, order, row);
        Tokens = full(rows, -1, int32, device).scatter_(0, row, order.div(active, RoundingMode.floor).to(int32));
        Groups = new RowGroups(
            rows, searchsorted(paddedEnds, arange(0, rows, Fp8.Block, int32, device: device), out_int32: true, right: true), paddedEnds);
    }

    public RowGroups Groups { get; }

    /// <summary>[rows] int32: the token of each row, −1 for padding.</summary>
    public Tensor Tokens { get; }

    /// <summary>perChoice [tokens, active]: [rows], 0 for padding.</summary>
    public Tensor Spread(Tensor perChoice) =>
        zeros(Groups.Rows, perChoice.dtype, perChoice.device).scatter_(0, _places, perChoice.flatten());

    /// <summary>perRow [rows]: [tokens, active].</summary>
    public Tensor PerChoice(Tensor perRow) => perRow.index_select(0, _places).view(-1, _active);

    /// <summary>rows [rows, hidden]: [tokens, hidden], the sum over each token's choices.</summary>
    public Tensor Collect(Tensor rows) => CudaKernels.CollectRows(rows, _places, _active);
}
