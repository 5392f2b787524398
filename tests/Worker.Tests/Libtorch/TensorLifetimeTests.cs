using System.Runtime.CompilerServices;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Libtorch;

/// <summary>
/// In compiled code, where a tensor that is named nowhere any more can be finalized while it is read: without the mend that ends the
/// process.
/// </summary>
public sealed class TensorLifetimeTests
{
    // Large enough for libtorch to give its memory back to the system when it is freed, and to read it for some milliseconds.
    private const int Numbers = 4_000_000;

    [Fact]
    public async Task A_tensor_lasts_as_long_as_the_operator_that_reads_it_however_often_garbage_is_collected()
    {
        using var ended = new CancellationTokenSource();
        var collector = Task.Run(
            () =>
            {
                while (!ended.IsCancellationRequested)
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                }
            },
            TestContext.Current.CancellationToken);
        using var zero = zeros(Numbers);
        using var copied = empty(Numbers);
        for (var call = 0; call < 100; call++)
        {
            Copy(copied, zero, call);
            Assert.Equal((call, call), (copied.min().item<float>(), copied.max().item<float>()));
        }
        await ended.CancelAsync();
        await collector;
    }

    /// <summary>Who disposes of a tensor gets its memory back at once: nothing is put off there.</summary>
    [Fact]
    public void What_is_disposed_of_is_gone_at_once()
    {
        using var first = zeros(Numbers);
        for (var i = 0; i < 400; i++)
        {
            // 16 MB each; 6.4 GB if they were kept.
            using var next = first + 1;
        }
        Assert.InRange(Resident(), 0, 5_000_000_000);
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void Copy(Tensor into, Tensor zero, int value) => into.copy_(Sum(zero, value));

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static Tensor Sum(Tensor zero, int value) => zero + value;

    private static long Resident() =>
        long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture)
        * Environment.SystemPageSize;
}
