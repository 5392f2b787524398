using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>The database goes away under a run, and comes back. Ten times in a longer run: the benchmark `blips`.</summary>
public sealed class StoreTests
{
    [Fact]
    public async Task After_two_crashes_of_postgresql_every_loss_is_there_and_losses_and_weights_are_those_of_an_undisturbed_run()
    {
        var result = await BlipDrill.Run(steps: 400, blips: 2);
        Assert.SkipWhen(result is null, DeepSeekOps.ControlPlane.Tests.Storage.PostgresServer.Missing);
        Assert.Empty(result!.Missing);
        Assert.Empty(result.Others);
        Assert.True(result.SameWeights, "the weights are those of the undisturbed run");
        Assert.True(result.LogLines < 200, $"{result.LogLines} lines of log for two outages");
    }
}
