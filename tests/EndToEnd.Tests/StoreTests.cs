using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>The database goes away under a run, and comes back. Ten times in a longer run: the benchmark `blips`.</summary>
public sealed class StoreTests
{
    [Fact]
    public async Task After_two_crashes_of_postgresql_in_one_of_which_the_rank_dies_too_all_is_as_in_an_undisturbed_run()
    {
        var result = await BlipDrill.Run(steps: 260, blips: 2, ranksDieToo: true);
        Assert.SkipWhen(result is null, DeepSeekOps.ControlPlane.Tests.Storage.PostgresServer.Missing);
        Assert.Empty(result!.Missing);
        Assert.Empty(result.Others);
        Assert.True(result.SameWeights, "the weights are those of the undisturbed run");
        Assert.True(result.LogLines < 200, $"{result.LogLines} lines of log for two outages");
        // While nobody could order it: the agent alone launched it again, and nothing durable was trained anew.
        Assert.Equal([0], result.Relaunches);
        Assert.Equal(1, result.Attempts);
    }
}
