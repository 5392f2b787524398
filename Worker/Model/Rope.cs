using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// Rotary positions of the decoupled query and key, as complex numbers e^{i·p·θ_j}, and the softmax scale that belongs to them.
/// YaRN divides slow frequencies by the factor, keeps fast ones, and blends in between (arXiv 2309.00071, equation 23).
/// </summary>
internal sealed class Rope : IDisposable
{
    private readonly Tensor _rotations; // [max positions, rope_dim / 2] complex64

    public Rope(ModelShape shape, YarnScaling? yarn, Device device)
    {
        Interleaved = shape.RopeInterleave;
        var frequencies = Frequencies(shape.QkRopeHeadDim, shape.RopeTheta, yarn);
        var positions = (shape with { Yarn = yarn }).ContextLength;
        using var scope = NewDisposeScope();
        var angles = outer(arange(positions, float32, device), tensor(frequencies, float32, device));
        _rotations = (polar(ones_like(angles), angles) * (float)KeyScale(yarn)).DetachFromDisposeScope();
        SoftmaxScale = Math.Pow(shape.QkHeadDim, -0.5) * ScaleCorrection(yarn);
    }

    /// <summary>Pairs that rotate are neighbours.</summary>
    public bool Interleaved { get; }

    /// <summary>qk_head_dim^-0.5, times mscale² under YaRN.</summary>
    public double SoftmaxScale { get; }

    /// <summary>Rotations of <paramref name="length"/> places from <paramref name="start"/>: [length, rope_dim / 2] complex.</summary>
    public Tensor At(long start, long length) => start + length <= _rotations.shape[0]
        ? _rotations.narrow(0, start, length)
        : throw new ArgumentOutOfRangeException(nameof(length),
            $"Position {start + length - 1} is beyond the model's {_rotations.shape[0]}: extend its context (YaRN) "
                + "or shorten the input.");

    /// <summary>Rotates x [..., seq, heads, rope_dim] by rotations [seq, 1, rope_dim / 2].</summary>
    public Tensor Rotate(Tensor x, Tensor rotations)
    {
        var dim = x.shape[^1];
        var contiguous = x.to(float32).contiguous();
        var pairs = Interleaved
            ? contiguous.view([.. x.shape[..^1], dim / 2, 2])
            : contiguous.view([.. x.shape[..^1], 2, dim / 2]).transpose(-2, -1).contiguous();
        return (pairs.view_as_complex() * rotations).view_as_real().reshape(x.shape).to(x.dtype);
    }

    public void Dispose() => _rotations.Dispose();

    internal static float[] Frequencies(int dim, double theta, YarnScaling? yarn)
    {
        var frequencies = new float[dim / 2];
        for (var j = 0; j < frequencies.Length; j++)
        {
            var frequency = Math.Pow(theta, -2.0 * j / dim);
            frequencies[j] = (float)(yarn is null ? frequency : Blend(frequency, j, dim, theta, yarn));
        }

        return frequencies;
    }

    private static double Blend(double frequency, int j, int dim, double theta, YarnScaling yarn)
    {
        var low = Math.Max(Math.Floor(Dimension(yarn.BetaFast)), 0);
        var high = Math.Min(Math.Ceiling(Dimension(yarn.BetaSlow)), dim - 1);
        var slow = Math.Clamp((j - low) / (high == low ? 0.001 : high - low), 0, 1);
        return (frequency / yarn.Factor * slow) + (frequency * (1 - slow));

        // The dimension that turns so many times within the original length.
        double Dimension(double turns) => dim * Math.Log(yarn.OriginalLength / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
    }

    private static double Mscale(double factor, double mscale) => factor <= 1 ? 1 : (0.1 * mscale * Math.Log(factor)) + 1;

    /// <summary>
    /// What the rotated parts are multiplied by: 1 where mscale and mscale_all_dim are equal, as in the published models.
    /// </summary>
    private static double KeyScale(YarnScaling? yarn) => yarn switch
    {
        null => 1,
        { Mscale: { } one and not 0, MscaleAllDim: { } all and not 0 } => Mscale(yarn.Factor, one) / Mscale(yarn.Factor, all),
        _ => Mscale(yarn.Factor, 1),
    };

    private static double ScaleCorrection(YarnScaling? yarn) =>
        yarn?.MscaleAllDim is { } all and not 0 ? Math.Pow(Mscale(yarn.Factor, all), 2) : 1;
}
