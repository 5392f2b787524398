using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Safetensors;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// FP8 products of the report, section 3.3, emulated for a CPU: both factors in E4M3 with a float32 scale per tile, sums carried in float32
/// per 128 elements and scaled there. Every quantised number is the one that FP8 hardware would see.
/// </summary>
public static class Fp8
{
    public const int Block = 128;
    private const double LargestE4M3 = 448;

    /// <summary>
    /// Values [rows, columns] as E4M3 numbers held in float32, and their scales [rows, tiles]. A tile is
    /// <paramref name="rowsPerTile"/> × <paramref name="columnsPerTile"/>: 1 × 128 for activations and gradients, 128 × 128 for weights.
    /// </summary>
    public static (Tensor Quantised, Tensor Scales) Quantise(Tensor values, int rowsPerTile, int columnsPerTile = Block)
    {
        var (rows, columns) = (values.shape[0], values.shape[1]);
        var padded = nn.functional.pad(
            values.to(float32), [0, Missing(columns, columnsPerTile), 0, Missing(rows, rowsPerTile)], PaddingModes.Constant, 0);
        var tiles = padded.view(padded.shape[0] / rowsPerTile, rowsPerTile, padded.shape[1] / columnsPerTile, columnsPerTile);
        var largest = tiles.abs().amax([1, 3], keepdim: true);
        var scales = where(largest == 0, ones_like(largest), largest / LargestE4M3);
        // By the inverse and not by division, as the kernel does: one division a tile.
        var inverse = where(largest == 0, ones_like(largest), (full_like(largest, LargestE4M3) / largest).clamp(max: float.MaxValue));
        var quantised = (tiles * inverse).to(TensorTypes.Float8E4M3).to(float32);
        return (
            quantised.view(padded.shape).narrow(0, 0, rows).narrow(1, 0, columns),
            scales.view(-1, 1, scales.shape[2]).expand(-1, rowsPerTile, -1).reshape(padded.shape[0], -1).narrow(0, 0, rows));
    }

    /// <summary>a [m, k] · b [n, k]ᵀ, both quantised along k: [m, n] float32. b is tiled by <paramref name="rowsPerTile"/> rows.</summary>
    public static Tensor Product(Tensor a, Tensor b, int rowsPerTile)
    {
        using var scope = NewDisposeScope();
        var (left, leftScales) = Quantise(a, 1);
        var (right, rightScales) = Quantise(b, rowsPerTile);
        var sum = zeros(a.shape[0], b.shape[0], float32, a.device);
        for (long tile = 0, from = 0; from < a.shape[1]; tile++, from += Block)
        {
            var width = Math.Min(Block, a.shape[1] - from);
            var part = left.narrow(1, from, width).mm(right.narrow(1, from, width).t());
            sum.add_(part * leftScales.narrow(1, tile, 1) * rightScales.narrow(1, tile, 1).t());
        }

        return sum.MoveToOuterDisposeScope();
    }

    private static long Missing(long length, int tile) => (tile - (length % tile)) % tile;
}

/// <summary>
/// x · Wᵀ with all three products in FP8 (figure 6 of the report): Fprop and Dgrad with 1 × 128 tiles against 128 × 128 blocks of the
/// weight, Wgrad with tiles of 128 tokens on both sides. On a GPU the same tiles go to its tensor cores.
/// </summary>
public sealed class Fp8Linear : SingleTensorFunction<Fp8Linear>
{
    public override string Name => nameof(Fp8Linear);

    /// <summary>x [..., in], weight [out, in]: [..., out].</summary>
    public static Tensor Forward(Tensor x, Tensor weight) =>
        apply(x.reshape(-1, x.shape[^1]), weight).view([.. x.shape[..^1], weight.shape[0]]);

    /// <summary>The same, whose weight's gradient a backward pass may leave for later.</summary>
    public static Tensor Forward(Tensor x, Tensor weight, LaterGradients? later, LaterWeight target) => later is null ? Forward(x, weight)
        : apply(x.reshape(-1, x.shape[^1]), weight, later, target).view([.. x.shape[..^1], weight.shape[0]]);

    // cuBLAS reads a row of the squares' scales in fours, and libtorch 2.11 hands it rows of any length: others come out wrong.
    private const int SquaresRow = 4 * Fp8.Block;

    /// <summary>
    /// On a GPU: kernels and tensor cores want whole tiles of tokens and rows of four squares. What does not divide stays in bfloat16.
    /// </summary>
    public static bool Takes(Tensor x, Tensor weight) => x.device.type == DeviceType.CPU
        || (CudaKernels.Serve(x) && x.numel() / x.shape[^1] % Fp8.Block == 0 && weight.shape[0] % SquaresRow == 0
            && weight.shape[1] % SquaresRow == 0);

    public override Tensor forward(AutogradContext ctx, params object[] vars)
    {
        var (x, weight) = ((Tensor)vars[0], (Tensor)vars[1]);
        ctx.save_data(nameof(Fp8Linear), new[] { x.shape, weight.shape });
        ctx.save_data(nameof(LaterGradients), vars.Length > 2 ? (vars[2], vars[3]) : (null, null));
        if (x.device.type == DeviceType.CPU)
        {
            ctx.save_for_backward([x, weight]);
            return Fp8.Product(x, weight, Fp8.Block).to(x.dtype);
        }

        // The backward pass needs only the transposes, in E4M3: half of what bfloat16 activations would take.
        var (left, right) = (CudaKernels.Quantise(x.contiguous(), squares: false), CudaKernels.Quantise(weight, squares: true));
        ctx.save_for_backward([left.Turned, left.TurnedScales, right.Turned, right.TurnedScales]);
        return Operators.ScaledMm(left.Values, right.Values.t(), left.Scales.t(), right.Scales.t(), x.dtype);
    }

    public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
    {
        var (later, target) = ((object?, object?))ctx.get_data(nameof(LaterGradients));
        var shapes = (long[][])ctx.get_data(nameof(Fp8Linear));
        return CustomBackward.Run(
            grad_output,
            () =>
            {
                var saved = ctx.get_saved_variables();
                var (ofX, kept, made) = grad_output.device.type == DeviceType.CPU ? Emulated(saved, grad_output)
                    : OnTensorCores(saved, grad_output);
                if (later is not LaterGradients { Leaves: true } left)
                {
                    return later is null ? [ofX, made(kept)] : [ofX, made(kept), null, null];
                }
                left.Leave((LaterWeight)target!, kept, made);
                return [ofX, null, null, null];
            },
            later is null ? shapes : new long[]?[] { shapes[0], shapes[1], null, null });
    }

    /// <summary>The input's gradient, and what the weight's is made from and how.</summary>
    private static (Tensor OfX, Tensor[] Kept, Func<Tensor[], Tensor> OfWeight) Emulated(List<Tensor> saved, Tensor gradient)
    {
        var type = saved[1].dtype;
        return (
            Fp8.Product(gradient, saved[1].t(), Fp8.Block).to(saved[0].dtype), [gradient, saved[0]],
            kept => Fp8.Product(kept[0].t(), kept[1].t(), rowsPerTile: 1).to(type));
    }

    private static (Tensor OfX, Tensor[] Kept, Func<Tensor[], Tensor> OfWeight) OnTensorCores(List<Tensor> saved, Tensor gradient)
    {
        var (quantised, type) = (CudaKernels.Quantise(gradient.contiguous(), squares: false), gradient.dtype);
        return (
            Operators.ScaledMm(quantised.Values, saved[2].t(), quantised.Scales.t(), saved[3].t(), type),
            [quantised.Turned, quantised.TurnedScales, saved[0], saved[1]],
            kept => Operators.ScaledMm(kept[0], kept[2].t(), kept[1].t(), kept[3], type));
    }
}
