using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Model;

/// <summary>Fills tensors with normal numbers, all cores at once: each part of a tensor is drawn alone.</summary>
internal static class InitialWeights
{
    /// <summary>Elements per piece of work: some milliseconds, and far more pieces in a large tensor than cores.</summary>
    private const int Piece = 1 << 18;

    public static void Fill(Tensor target, NormalNumbers numbers, double deviation)
    {
        if (target.device_type == DeviceType.CPU && target.dtype == ScalarType.Float32 && target.is_contiguous())
        {
            Draw(target, numbers, deviation);
            return;
        }
        using var drawn = empty(target.shape, ScalarType.Float32, CPU);
        Draw(drawn, numbers, deviation);
        target.copy_(drawn);
    }

    private static unsafe void Draw(Tensor target, NormalNumbers numbers, double deviation)
    {
        var address = TensorMemory.Address(target);
        var elements = target.NumberOfElements;
        System.Threading.Tasks.Parallel.For(0L, (elements + Piece - 1) / Piece, piece =>
        {
            var first = piece * Piece;
            numbers.Fill(new Span<float>((float*)address + first, (int)Math.Min(Piece, elements - first)), first, deviation);
        });
    }
}
