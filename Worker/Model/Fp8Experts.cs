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
            opened, perRow, .. rows.Tensors]);
        ctx.save_data(nameof(PaddedRows), rows.Counts);
        ctx.save_data(nameof(Fp8Experts), new[] { x.shape, gates.shape, gateUp.shape, down.shape });
        return rows.Collect(left);
    }

    public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
    {
        var shapes = (long[][])ctx.get_data(nameof(Fp8Experts));
        return CustomBackward.Run(
            grad_output, () =>
            {
                var saved = ctx.get_saved_variables();
                return Backward(saved, grad_output, new PaddedRows(saved[10..], ((int, long, bool))ctx.get_data(nameof(PaddedRows))));
            },
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
    private readonly bool _partly;
    private readonly Tensor? _order; // [choices]: those that have a row; null: as the graph kept it
    private readonly Tensor _places; // [tokens · active] int64: the row of each token's choices, −1 where it has none

    /// <param name="sorted">[tokens · active]: the expert of each choice in order; <paramref name="order"/> sorts the flattened choices
    /// so.</param>
    /// <param name="ends">[experts] int32: the choice behind each expert's last.</param>
    /// <param name="tokens">Null: every choice has a row; else <paramref name="sorted"/> and <paramref name="order"/> are of those that
    /// have.</param>
    public PaddedRows(Tensor sorted, Tensor order, Tensor ends, int active, long? tokens = null)
    {
        (_active, _partly, _order) = (active, tokens is not null, order);
        var (choices, experts, device) = (order.shape[0], ends.shape[0], ends.device);
        var rows = ((choices + Fp8.Block - 1) / Fp8.Block * Fp8.Block) + (experts * Fp8.Block);
        var loads = ends.diff(prepend: zeros(1, int32, device));
        var padded = (loads + (Fp8.Block - 1)).div(Fp8.Block, RoundingMode.floor) * Fp8.Block;
        var paddedEnds = padded.cumsum(0).to(int32);
        // How far each expert's rows move down.
        var shift = paddedEnds - padded - ends + loads;
        var row = arange(choices, int64, device: device) + shift.index_select(0, sorted);
        _places = (tokens is { } count ? full(count * active, -1, int64, device) : empty_like(order)).scatter_(0, order, row);
        Tokens = full(rows, -1, int32, device).scatter_(0, row, order.div(active, RoundingMode.floor).to(int32));
        Groups = new RowGroups(
            rows, searchsorted(paddedEnds, arange(0, rows, Fp8.Block, int32, device: device), out_int32: true, right: true), paddedEnds);
    }

    /// <summary>The same again from what the graph kept: the scope that it was made in may be over.</summary>
    public PaddedRows(List<Tensor> tensors, (int Active, long Rows, bool Partly) counts) =>
        (_active, _partly, _places, Tokens, Groups) =
            (counts.Active, counts.Partly, tensors[0], tensors[1], new RowGroups(counts.Rows, tensors[2], tensors[3]));

    public Tensor[] Tensors => [_places, Tokens, Groups.OfTile, Groups.Ends];

    public (int Active, long Rows, bool Partly) Counts => (_active, Groups.Rows, _partly);

    public RowGroups Groups { get; }

    /// <summary>[rows] int32: the token of each row, −1 for padding.</summary>
    public Tensor Tokens { get; }

    /// <summary>perChoice [tokens, active]: [rows], 0 for padding.</summary>
    public Tensor Spread(Tensor perChoice)
    {
        var (places, values) = !_partly ? (_places, perChoice.flatten())
            : (_places.index_select(0, _order!), perChoice.flatten().index_select(0, _order!));
        return zeros(Groups.Rows, perChoice.dtype, perChoice.device).scatter_(0, places, values);
    }

    /// <summary>perRow [rows]: [tokens, active].</summary>
    public Tensor PerChoice(Tensor perRow) => (!_partly ? perRow.index_select(0, _places)
        : perRow.index_select(0, _places.clamp(min: 0)).masked_fill(_places < 0, 0)).view(-1, _active);

    /// <summary>rows [rows, hidden]: [tokens, hidden], the sum over each token's choices.</summary>
    public Tensor Collect(Tensor rows) => CudaKernels.CollectRows(rows, _places, _active);
}
