using System.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>
/// What a CPU can do at its best here and now: the fastest of a few large float32 matrix products. It is the peak that a laptop's MFU is
/// held against; GPUs have a datasheet.
/// </summary>
internal static class DevicePeak
{
    private const int Tries = 5;

    /// <summary>
    /// Whoever starts beside other work sees too low a peak, so it is looked at again, ever more seldom: after 8, 64, 512 … steps. Looked
    /// at after 1, 2, 4 … steps it was 18 % of the CPU time of small gangs that trained 24 steps.
    /// </summary>
    public static bool IsDue(long step) => step > 1 && BitOperations.IsPow2(step) && BitOperations.Log2((ulong)step) % 3 == 0;

    /// <summary>TFLOP/s. Draws no random numbers; takes some 20 ms.</summary>
    public static double MeasureTflops(TimeProvider clock)
    {
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        // A few threads are busy with so small a product; a product of some milliseconds is also seldom interrupted.
        var side = get_num_threads() <= 4 ? 512 : 768;
        var (a, b) = (ones([side, side]), ones([side, side]));
        var fastest = TimeSpan.MaxValue;
        for (int i = 0; i < Tries; i++)
        {
            long began = clock.GetTimestamp();
            using var product = matmul(a, b);
            var took = clock.GetElapsedTime(began);
            fastest = took > TimeSpan.Zero && took < fastest ? took : fastest;
        }

        return 2.0 * side * side * side / fastest.TotalSeconds / 1e12;
    }
}
