using System.Diagnostics;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

public sealed class NodeIncidentTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task An_idle_node_that_is_lost_is_an_incident_that_outlives_the_silo_and_closes_once_it_is_back()
    {
        await using var world = await World.Begin();
        await world.Grains.GetGrain<IClusterGrain>(IClusterGrain.Key).Describe();
        world.Cluster.Health["node-1"] = NodeHealth.NotReady;
        var opened = await Until(world, IncidentState.Acting);
        Assert.Contains("node-1 is not ready", opened.Sentence, StringComparison.Ordinal);

        await world.KillSilo();
        await world.StartSilo();
        world.Cluster.Health["node-1"] = NodeHealth.Ready;
        var closed = await Until(world, IncidentState.Closed);

        Assert.Equal((1, opened.OpenedAt), (closed.Number, closed.OpenedAt));
        Assert.Single(world.NodeIncidents);
    }

    [Fact]
    public async Task A_ledger_that_is_away_hears_of_it_later()
    {
        await using var world = await World.Begin();
        await world.Grains.GetGrain<IClusterGrain>(IClusterGrain.Key).Describe();
        int left = 2;
        world.BeforeNodeIncident = () =>
        {
            if (Interlocked.Decrement(ref left) >= 0)
            {
                throw new IOException("the database does not answer");
            }
        };
        world.Cluster.Health["node-0"] = NodeHealth.NotReady;
        Assert.Equal(1, (await Until(world, IncidentState.Acting)).Number);
        Assert.True(left < 0);
    }

    private static async Task<NodeIncident> Until(World world, IncidentState state)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            if (world.NodeIncidents.Values.FirstOrDefault(i => i.State == state) is { } there)
            {
                return there;
            }

            Assert.True(watch.Elapsed < Patience, $"no incident is {state}: {string.Join("; ", world.NodeIncidents.Values)}");
            world.Clock.Advance(TimeSpan.FromSeconds(5));
            // Keeps the grain awake, and lets a turn of its timer end.
            await world.Grains.GetGrain<IClusterGrain>(IClusterGrain.Key).Describe();
        }
    }
}
