using DeepSeekOps.Benchmarks;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>
/// The control plane goes away from under a gang of 16 nodes. 256 nodes, a minute each, and the database too: the benchmark `blackout`.
/// </summary>
public sealed class BlackoutTests
{
    /// <summary>Longer than what is heard counts as fresh, and than silence is passed over.</summary>
    private static readonly TimeSpan Away = TimeSpan.FromSeconds(12);

    [Fact]
    public async Task A_control_plane_that_is_parted_from_its_agents_hangs_or_is_killed_costs_no_rank_no_launch_and_no_step()
    {
        await using var load = await LoadRun.Begin(new Calls(), agents: 16);
        foreach (var kind in new[] { BlackoutKind.PartlyParted, BlackoutKind.Hung, BlackoutKind.Killed })
        {
            var result = await Blackout.Strike(load, kind, Away, seed: 1, stepsAfter: 3);
            Assert.True(result.Harmless, $"{kind}: {result}: {string.Join("; ", result.Ended)}\n{load.Dsops.Evidence}");
        }
    }
}
