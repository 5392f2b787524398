using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Libtorch;

public sealed class ScalarTests
{
    [Fact]
    public async Task A_number_lasts_as_long_as_the_operator_that_reads_it_however_often_garbage_is_collected()
    {
        using var ended = new CancellationTokenSource();
        var collector = Task.Run(
            () =>
            {
                while (!ended.IsCancellationRequested)
                {
                    GC.Collect(0);
                    GC.WaitForPendingFinalizers();
                }
            },
            TestContext.Current.CancellationToken);
        using var sum = zeros(64, ScalarType.Float32);
        var calls = 0;
        while (calls < 100_000)
        {
            sum.add_(0.5);
            sum.sub_(0.5);
            calls++;
        }
        await ended.CancelAsync();
        await collector;
        Assert.Equal(0f, sum.abs().sum().item<float>());
    }
}
