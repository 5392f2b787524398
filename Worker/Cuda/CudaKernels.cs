using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Cuda;

/// <summary>A matrix in E4M3 and its transpose, each with its scales as <see cref="CudaKernels.Quantise"/> lays them.</summary>
internal sealed record QuantisedMatrix(Tensor Values, Tensor Scales, Tensor Turned, Tensor TurnedScales);

/// <summary>
/// Our own kernels on bfloat16 tensors of a GPU, each in place of a chain of libtorch's: what they save is trips through memory. Where
/// there is no NVRTC the chains run instead.
/// </summary>
internal static class CudaKernels
{
    private const int Threads = 128;

    private static readonly Lazy<CudaModule?> Module = new(Load);

    /// <summary>Whether tensors like this one have kernels here: on the GPU that is this process's own.</summary>
    public static bool Serve(Tensor x) =>
        x.device.type == DeviceType.CUDA && (x.device.index < 0 || x.device.index == ComputeDevice.OwnGpu)
            && x.dtype == ScalarType.BFloat16 && x.shape[^1] % 8 == 0 && Module.Value is not null;

    /// <summary>silu(gate) · up · weight per row, [rows, width]; gate and up may be halves of one tensor (equal row strides).</summary>
    public static Tensor SwiGlu(Tensor gate, Tensor up, Tensor? weight)
    {
        var output = empty(gate.shape, gate.dtype, gate.device);
        Run("swiglu_forward", (Rows(gate), 1), At(gate), At(up), (ulong)gate.stride(-2), At(weight), At(output), (ulong)gate.shape[^1]);
        return output;
    }

    /// <summary>Gradients into gradGate, gradUp (strides of gate and up) and gradWeight.</summary>
    public static void SwiGluBackward(Tensor gate, Tensor up, Tensor? weight, Tensor grad, Tensor gradGate, Tensor gradUp,
        Tensor? gradWeight) =>
        Run("swiglu_backward", (Rows(gate), 1), At(gate), At(up), (ulong)gate.stride(-2), At(weight), At(grad), At(gradGate), At(gradUp),
            At(gradWeight), (ulong)gate.shape[^1]);

    /// <summary>
    /// Sums rows [any, width] at places [tokens · choices] over each token's choices: [tokens, width]. Places below 0 count as nothing.
    /// </summary>
    public static Tensor CollectRows(Tensor rows, Tensor places, int choices)
    {
        var output = empty([places.shape[0] / choices, rows.shape[1]], rows.dtype, rows.device);
        Run("collect_rows", (output.shape[0], 1), At(rows), At(places), At(output), (ulong)choices, (ulong)rows.shape[1]);
        return output;
    }

    /// <summary>
    /// Rotates the tail of every head of x [batch, seq, heads, dim] (contiguous) by rotations [seq, pairs] complex64, or back; pairs are
    /// neighbours.
    /// </summary>
    public static Tensor RotateTail(Tensor x, Tensor rotations, bool back)
    {
        var output = empty(x.shape, x.dtype, x.device);
        Run("rotate_tail", (x.shape[0] * x.shape[1], 1), At(x), At(rotations), At(output), (ulong)x.shape[1], (ulong)x.shape[2],
            (ulong)x.shape[3],
            (ulong)rotations.shape[1], Bits(back ? -1 : 1));
        return output;
    }

    /// <summary>
    /// x [rows, columns] contiguous, multiples of 128. Scales of 1 × 128 tiles lie as [tiles, rows]; squares: one per 128 × 128.
    /// </summary>
    public static QuantisedMatrix Quantise(Tensor x, bool squares)
    {
        if (squares)
        {
            return QuantiseSquares(x);
        }

        var (rows, columns) = (x.shape[0], x.shape[1]);
        var made = Tiled(rows, columns, x.device);
        Run("quantise", (columns / 128, rows / 128), 256, At(x), At(made.Values), At(made.Scales), At(made.Turned), At(made.TurnedScales),
            (ulong)rows, (ulong)columns, 0, 0, (ulong)rows);
        return made;
    }

    /// <summary>Matrices of equal width [any, columns], one below the other, in squares.</summary>
    public static QuantisedMatrix QuantiseSquares(params ReadOnlySpan<Tensor> stacked)
    {
        var (rows, columns, device) = (0L, stacked[0].shape[1], stacked[0].device);
        foreach (var x in stacked)
        {
            rows += x.shape[0];
        }

        var made = new QuantisedMatrix(
            empty([rows, columns], TensorTypes.Float8E4M3, device), empty(rows / 128, columns / 128, float32, device),
            empty([columns, rows], TensorTypes.Float8E4M3, device), empty(columns / 128, rows / 128, float32, device));
        var above = 0L;
        foreach (var x in stacked)
        {
            var own = x.shape[0];
            Run("quantise", (columns / 128, own / 128), 256, At(x), At(made.Values.narrow(0, above, own)),
                At(made.Scales.narrow(0, above / 128, own / 128)),
                At(made.Turned.narrow(1, above, own)), At(made.TurnedScales.narrow(1, above / 128, own / 128)), (ulong)own, (ulong)columns,
                (ulong)(columns / 128), (ulong)(rows / 128), (ulong)rows);
            above += own;
        }

        return made;
    }

    /// <summary>
    /// The same in tiles of rows <paramref name="sources"/> [rows] int32 of x [any, columns] contiguous; zeros where a source is negative.
    /// </summary>
    public static QuantisedMatrix QuantiseSelected(Tensor x, Tensor sources)
    {
        var (rows, columns) = (sources.shape[0], x.shape[1]);
        var made = Tiled(rows, columns, x.device);
        Run("quantise_selected", (columns / 128, rows / 128), 256, At(x), At(sources), At(made.Values), At(made.Scales), At(made.Turned),
            At(made.TurnedScales),
            (ulong)rows, (ulong)columns);
        return made;
    }

    /// <summary>silu(gate) · up · weight of gateUp [rows, 2 · columns] and weight [rows] float32, in tiles, [rows, columns].</summary>
    public static QuantisedMatrix QuantiseSwiGlu(Tensor gateUp, Tensor? weight)
    {
        var (rows, columns) = (gateUp.shape[0], gateUp.shape[1] / 2);
        var made = Tiled(rows, columns, gateUp.device);
        Run("quantise_swiglu", (columns / 128, rows / 128), 256, At(gateUp), At(weight), At(made.Values), At(made.Scales), At(made.Turned),
            At(made.TurnedScales),
            (ulong)rows, (ulong)columns);
        return made;
    }

    /// <summary>Its gradients by grad [rows, columns]: of gateUp in tiles, of weight [rows] where there is one.</summary>
    public static (QuantisedMatrix GateUp, Tensor? Weight) QuantiseSwiGluBackward(Tensor gateUp, Tensor? weight, Tensor grad)
    {
        var (rows, columns) = (grad.shape[0], grad.shape[1]);
        var made = Tiled(rows, 2 * columns, grad.device);
        var partial = weight is null ? null : empty(columns / 128, rows, float32, grad.device);
        Run("quantise_swiglu_backward", (columns / 64, rows / 128), 256, At(gateUp), At(weight), At(grad), At(made.Values), At(made.Scales),
            At(made.Turned),
            At(made.TurnedScales), At(partial), (ulong)rows, (ulong)columns);
        return (made, partial?.sum([0]));
    }

    private static QuantisedMatrix Tiled(long rows, long columns, Device device) => new(
        empty([rows, columns], TensorTypes.Float8E4M3, device), empty(columns / 128, rows, float32, device),
        empty([columns, rows], TensorTypes.Float8E4M3, device), empty(rows / 128, columns, float32, device));

    /// <summary>Sums of squares of a gradient's parts into partials [256].</summary>
    public static void SumSquares(Tensor gradient, Tensor partials) =>
        Run("sum_squares", (partials.shape[0], 1), 1024, At(gradient), At(partials), (ulong)gradient.numel());

    /// <summary>One step of one parameter, its moments float32 or bfloat16; factor and step are scalars on the device.</summary>
    public static void AdamW(
        Tensor weight, Tensor first, Tensor second, Tensor gradient, Tensor rounded, Tensor factor, Tensor step,
        double rate, double beta1, double beta2, double decay, double epsilon) =>
        Run(
            first.dtype == ScalarType.BFloat16 ? "adamw_bf16_moments" : "adamw_float_moments",
            (Math.Min(1 << 16, (weight.numel() + 1023) / 1024), 1), 256, At(weight), At(first), At(second), At(gradient), At(rounded),
            At(factor), At(step), Bits(rate), Bits(beta1), Bits(beta2), Bits(decay), Bits(epsilon), (ulong)weight.numel());

    private static long Rows(Tensor x) => x.numel() / x.shape[^1];

    private static void Run(string kernel, (long X, long Y) grid, params ReadOnlySpan<ulong> arguments) =>
        Run(kernel, grid, Threads, arguments);

    private static void Run(string kernel, (long X, long Y) grid, int threads, params ReadOnlySpan<ulong> arguments)
    {
        if (grid is { X: > 0, Y: > 0 })
        {
            Module.Value!.Launch(kernel, ComputeDevice.OwnGpu, grid, threads, arguments);
        }
    }

    internal static ulong At(Tensor? tensor) => tensor is null ? 0 : DispatcherCall.Address(tensor);

    private static ulong Bits(double value) => BitConverter.SingleToUInt32Bits((float)value);

    private static CudaModule? Load() => Compiled("Kernels.cu", specific: false);

    /// <summary>A source of this program, compiled for the first GPU; null where there is no NVRTC.</summary>
    public static CudaModule? Compiled(string name, bool specific)
    {
        using var source = typeof(CudaKernels).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"{name} is not in this program.");
        using var text = new StreamReader(source);
        return Nvrtc() is { } library ? new CudaModule(text.ReadToEnd(), library, ComputeDevice.OwnGpu, specific) : null;
    }

    /// <summary>Compute capability of this process's GPU; (0, 0) where kernels do not run.</summary>
    public static (int Major, int Minor) Capability => Module.Value?.Capability ?? (0, 0);

    /// <summary>PyTorch's wheels put it in site-packages/nvidia/*/lib, beside the folder that torch/lib lies in.</summary>
    private static string? Nvrtc()
    {
        var packages = Path.GetFullPath(Path.Combine(LibtorchLoading.Folder ?? "/", "..", "..", "nvidia"));
        return Directory.Exists(packages)
            ? Directory.EnumerateDirectories(packages).Select(p => Path.Combine(p, "lib")).Where(Directory.Exists)
                .SelectMany(p => Directory.EnumerateFiles(p, "libnvrtc.so.*")).FirstOrDefault()
            : null;
    }
}
