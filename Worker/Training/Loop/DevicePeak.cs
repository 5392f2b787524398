using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>
/// What a CPU can do at its best here and now: the fastest of a few large float32 matrix products. It is the peak that a laptop's MFU is
/// held against; GPUs have a datasheet.
/// </summary>
internal static class DevicePeak
{
    private const int Size = 768;
    private const int Tries = 6;

    /// <summary>TFLOP/s. Draws no random numbers; takes some 50 ms.</summary>
    public static double MeasureTflops(TimeProvider clock)
    {
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var (a, b) = (ones([Size, Size]), ones([Size, Size]));
        var fastest = TimeSpan.MaxValue;
        for (int i = 0; i < Tries; i++)
        {
            long began = clock.GetTimestamp();
            using var product = matmul(a, b);
            var took = clock.GetElapsedTime(began);
            fastest = took > TimeSpan.Zero && took < fastest ? took : fastest;
        }

        return 2.0 * Size * Size * Size / fastest.TotalSeconds / 1e12;
    }
}
