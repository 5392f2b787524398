using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Cuda;

/// <summary>
/// Rows sorted by group, each group beginning at a multiple of 128 rows, so that a tile of rows belongs to one group. Rows between groups
/// and after the last are padding.
/// </summary>
/// <param name="Rows">Of all groups, with the padding.</param>
/// <param name="OfTile">[rows / 128] int32: the group of each tile; the number of groups and more: none.</param>
/// <param name="Ends">[groups] int32: the row behind each group and its padding.</param>
internal sealed record RowGroups(long Rows, Tensor OfTile, Tensor Ends)
{
    public int Count => (int)Ends.shape[0];
}

/// <summary>
/// Grouped E4M3 products with the scales of the report's section 3.3 (tiles of 128, float32 sums every 128), which libtorch 2.11 lacks: on
/// Hopper's tensor cores, by a kernel of our own.
/// </summary>
internal static class Fp8Products
{
    private const int Threads = 384;

    // As in Fp8Products.cu: four stages of tiles and scales, barriers, and room to begin at a multiple of 1024.
    private const int SharedBytes = (4 * ((128 * 128) + (256 * 128) + (256 * 4))) + 64 + 1024;

    private static readonly Lazy<CudaModule?> Module =
        new(() => CudaKernels.Capability == (9, 0) ? CudaKernels.Compiled("Fp8Products.cu", specific: true) : null);

    public static bool Available => Module.Value is not null;

    /// <summary>
    /// Each row by its group's weight: values [rows, k] (<see cref="QuantisedMatrix.Values"/>), weights [groups · n, k] in squares, or
    /// turned ([n, groups · k]). Gives [rows, n] bfloat16; the rows of tiles without a group are left as memory was.
    /// </summary>
    public static Tensor Rows(Tensor values, Tensor scales, Tensor weights, Tensor weightScales, RowGroups groups, bool turned)
    {
        var k = values.shape[1];
        var n = turned ? weights.shape[0] : weights.shape[0] / groups.Count;
        var output = empty([groups.Rows, n], ScalarType.BFloat16, values.device);
        Launch("fp8_product_rows", values, weights, [
            CudaKernels.At(scales), CudaKernels.At(weightScales), CudaKernels.At(output), CudaKernels.At(groups.OfTile),
            (ulong)groups.Rows, (ulong)n, (ulong)k, (ulong)groups.Count,
            turned ? (ulong)k : 0, turned ? 0 : (ulong)n, (ulong)weightScales.shape[1]]);
        return output;
    }

    /// <summary>
    /// Sums over each group's rows: left [m, rows] and right [n, rows] are turned matrices. Gives [groups, m, n] bfloat16.
    /// </summary>
    public static Tensor Tokens(Tensor left, Tensor leftScales, Tensor right, Tensor rightScales, RowGroups groups)
    {
        var (m, n) = (left.shape[0], right.shape[0]);
        var output = empty([groups.Count, m, n], ScalarType.BFloat16, left.device);
        Launch("fp8_product_tokens", left, right, [
            CudaKernels.At(leftScales), CudaKernels.At(rightScales), CudaKernels.At(output), CudaKernels.At(groups.Ends),
            (ulong)m, (ulong)n, (ulong)groups.Rows, (ulong)groups.Count]);
        return output;
    }

    // One block per multiprocessor walks over the tiles.
    private static void Launch(string kernel, Tensor a, Tensor b, ReadOnlySpan<ulong> arguments)
    {
        var module = Module.Value!;
        module.Launch(kernel, ComputeDevice.OwnGpu, (module.Multiprocessors, 1), Threads, arguments, SharedBytes,
            [Describe(module, a, 128), Describe(module, b, 256)]);
    }

    private static TensorMap Describe(CudaModule module, Tensor matrix, int boxRows) =>
        module.Describe(CudaKernels.At(matrix), matrix.shape[0], matrix.shape[1], boxRows, 128);
}
