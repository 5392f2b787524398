using System.Runtime.Intrinsics;

namespace DeepSeekOps.Worker.Data;

/// <summary>
/// Endlessly many numbers of the standard normal distribution, of which any part can be drawn without the others: the i-th hangs on seed,
/// name and i alone. Two neighbours come from two uniform numbers (Box and Muller, 1958). Vector arithmetic and no function of the
/// system's C library, whose last bit is another one from version to version.
/// </summary>
public readonly struct NormalNumbers(long seed, string name)
{
    private const int BlockPairs = 512;
    private const double Unit = 1.0 / (1UL << 53);
    private readonly SeededRandom _uniform = new(seed, $"normal {name}", 0);

    /// <param name="first">Index of the first number to draw.</param>
    public void Fill(Span<float> into, long first, double deviation)
    {
        Span<double> radii = stackalloc double[BlockPairs];
        Span<double> angles = stackalloc double[BlockPairs];
        for (var done = 0; done < into.Length;)
        {
            var pair = (first + done) / 2;
            var skip = (int)((first + done) % 2);
            var count = Math.Min(into.Length - done, (2 * BlockPairs) - skip);
            // Whole vectors always, so that a number does not hang on how much is drawn with it.
            var pairs = (((skip + count + 1) / 2) + Vector256<double>.Count - 1) / Vector256<double>.Count * Vector256<double>.Count;
            Draw(pair, radii[..pairs], angles[..pairs]);
            for (var i = 0; i < count; i++)
            {
                var from = (skip + i) % 2 == 0 ? radii : angles;
                into[done + i] = (float)(deviation * from[(skip + i) / 2]);
            }
            done += count;
        }
    }

    /// <summary>The even numbers from 2 × <paramref name="pair"/> on, and the odd ones.</summary>
    private void Draw(long pair, Span<double> even, Span<double> odd)
    {
        for (var i = 0; i < even.Length; i++)
        {
            // (0, 1], of which there is a logarithm, and [0, 1).
            even[i] = ((_uniform.Ahead(2 * (pair + i)) >> 11) + 1) * Unit;
            odd[i] = (_uniform.Ahead((2 * (pair + i)) + 1) >> 11) * Unit;
        }
        for (var i = 0; i < even.Length; i += Vector256<double>.Count)
        {
            var radius = Vector256.Sqrt(-2 * Vector256.Log(Vector256.Create((ReadOnlySpan<double>)even[i..])));
            var (sine, cosine) = Vector256.SinCos(2 * Math.PI * Vector256.Create((ReadOnlySpan<double>)odd[i..]));
            (radius * cosine).CopyTo(even[i..]);
            (radius * sine).CopyTo(odd[i..]);
        }
    }
}
