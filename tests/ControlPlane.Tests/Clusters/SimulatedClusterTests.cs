using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Tests.Api;
using DeepSeekOps.ControlPlane.Tests.Pipelines;
using DeepSeekOps.Decisions.Simulation;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters;

/// <summary>The whole process with 256 simulated nodes, a hundred times faster than time.</summary>
public sealed class SimulatedClusterTests : IAsyncLifetime
{
    /// <summary>Only ends a test that hangs: 256 simulated nodes share the cores with whatever else runs.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-simulated-").FullName;
    private WebApplication? app;
    private GrpcChannel? channel;

    private OpsService.OpsServiceClient Ops => new(channel);

    public async ValueTask InitializeAsync()
    {
        var options = new ControlPlaneOptions
        {
            DataDirectory = folder, Port = 0, Cluster = new SimulatedChoice { Nodes = 256, TimeFactor = 100 },
        };
        var endpoints = Endpoints.Choose(options);
        var database = OpsDatabase.Parse(null, folder);
        await StorageHosting.Prepare(database, TestContext.Current.CancellationToken);
        app = ControlPlaneApp.Build(options, endpoints, database, logging => logging.ClearProviders());
        await app.StartAsync(TestContext.Current.CancellationToken);
        channel = TokenChannel.To(endpoints.Grpc, app.Services.GetRequiredService<AccessKey>().PeoplesToken);
    }

    public async ValueTask DisposeAsync()
    {
        channel?.Dispose();
        if (app is not null)
        {
            await app.StopAsync();
            await app.DisposeAsync();
        }
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Of_256_nodes_one_dies_and_a_stage_of_a_thousand_gpus_goes_on_without_it()
    {
        await Ops.SubmitRunAsync(new SubmitRunRequest { Text = Examples.Read("v3-half") }, Call());
        await Told("checkpoint", after: 0);
        var before = await Ops.GetClusterAsync(new GetClusterRequest(), Call());
        Assert.Equal((256, 1024, true), (before.Nodes.Count, before.Nodes.Sum(n => n.SlotsUsed), before.Simulated));
        var victim = before.Nodes.Last(n => n.SlotsUsed > 0);
        Assert.Equal(8, victim.Work.Single().Ranks.Count);
        Assert.InRange(victim.Work.Single().Mfu, 0.2, 0.6);

        Assert.Equal("not-ready",
            (await Ops.KillNodeAsync(new NodeCommand { Name = victim.Name, Reason = "a test pulled the plug" }, Call())).State);
        var lost = await Told(e => e.Text.Contains("pulled the plug", StringComparison.Ordinal) && e.Level != "info", after: 0);
        var back = await Told("recovered", after: lost.Number);

        Assert.Contains(victim.Name, lost.Text, StringComparison.Ordinal);
        Assert.All([lost, back], e => Assert.StartsWith("simulated: ", e.Text, StringComparison.Ordinal));
        var after = await Ops.GetClusterAsync(new GetClusterRequest(), Call());
        Assert.Equal(1024, after.Nodes.Sum(n => n.SlotsUsed));
        Assert.Equal(0, after.Nodes.Single(n => n.Name == victim.Name).SlotsUsed);
        var run = await Ops.GetRunAsync(new GetRunRequest { Name = "v3-half" }, Call());
        Assert.True(run.Simulated);
        Assert.True(run.Stages[0].Attempt >= 2);
        // Another took its place, and the other 127 kept their pods.
        var joined = await Told("joined", after: 0);
        Assert.NotEqual(0, after.Nodes.Single(n => n.Name == joined.Node).SlotsUsed);
        Assert.Equal(before.Nodes.Where(n => n.SlotsUsed > 0 && n.Name != victim.Name).Select(n => n.Name).Append(joined.Node).Order(),
            after.Nodes.Where(n => n.SlotsUsed > 0).Select(n => n.Name).Order());
    }

    [Fact]
    public async Task A_drained_simulated_node_is_left_after_a_checkpoint_and_stays_empty()
    {
        await Ops.SubmitRunAsync(new SubmitRunRequest { Text = Examples.Read("v3-half") }, Call());
        await Told("started", after: 0);
        var victim = (await Ops.GetClusterAsync(new GetClusterRequest(), Call())).Nodes.First(n => n.SlotsUsed > 0);

        await Ops.DrainNodeAsync(new NodeCommand { Name = victim.Name, Reason = "firmware" }, Call());
        var drained = await Told("drained", after: 0);
        await Told("checkpoint", after: drained.Number);
        await Told("started", after: drained.Number);

        var node = (await Ops.GetClusterAsync(new GetClusterRequest(), Call())).Nodes.Single(n => n.Name == victim.Name);
        Assert.Equal(("cordoned", "firmware", 0), (node.State, node.Reason, node.SlotsUsed));
    }

    /// <summary>About 2 CPU seconds, most of them the start.</summary>
    [Fact]
    public async Task A_hidden_fault_is_found_by_a_test_and_nothing_is_placed_there_until_it_is_mended()
    {
        await Watched(c => c.Nodes.Count(n => n.Test is { Result: "passed" }) > 8);
        (string Node, string Fault)[] faults = [("node-0010", "slow-memory"), ("node-0011", "wrong-product")];
        foreach (var (node, fault) in faults)
        {
            await Ops.KillNodeAsync(new NodeCommand { Name = node, Fault = fault }, Call());
            await Ops.TestNodeAsync(new NodeCommand { Name = node }, Call());
        }

        var found = await Watched(c => faults.All(f => c.Nodes.Single(n => n.Name == f.Node).Test is { Result: "failed" }));
        Assert.All(faults, f => Assert.Equal("cordoned", found.Nodes.Single(n => n.Name == f.Node).State));
        Assert.Contains("memory at 1", found.Nodes.Single(n => n.Name == "node-0010").Reason, StringComparison.Ordinal);
        Assert.Contains("wrong results", found.Nodes.Single(n => n.Name == "node-0011").Reason, StringComparison.Ordinal);
        Assert.All(found.Nodes.Where(n => n.State == "cordoned"), n => Assert.Contains(n.Name, faults.Select(f => f.Node)));

        await Ops.HealNodeAsync(new NodeCommand { Name = "node-0010" }, Call());
        await Ops.TestNodeAsync(new NodeCommand { Name = "node-0010" }, Call());
        await Ops.UncordonNodeAsync(new NodeCommand { Name = "node-0011" }, Call());
        var after = await Watched(c => c.Nodes.Single(n => n.Name == "node-0010").Test is { Result: "passed" });
        Assert.All(faults, f => Assert.Equal("ready", after.Nodes.Single(n => n.Name == f.Node).State));
    }

    [Fact]
    public async Task A_random_fault_of_the_published_mix_is_told_and_recovered_from()
    {
        var wear = app!.Services.GetRequiredService<IOptions<SimulatedClusterOptions>>().Value;
        await Ops.SubmitRunAsync(new SubmitRunRequest { Text = Examples.Read("v3-half") }, Call());
        await Told("checkpoint", after: 0);

        wear.Faults = FaultMix.Llama3 with { PerThousandNodeDays = 1500 };
        var struck =
            await Told(e => e.Level != "info" && FaultMix.Llama3.Causes.Any(f => e.Text.Contains(f.Name, StringComparison.Ordinal)),
                after: 0);
        wear.Faults = FaultMix.None;
        var back = await Told("recovered", after: struck.Number);

        Assert.StartsWith("simulated: ", struck.Text, StringComparison.Ordinal);
        Assert.Contains("first new step", back.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_waits_is_told_when_it_starts_what_it_would_cost_sooner_and_can_be_moved_and_helped()
    {
        foreach (string name in (string[])["v3-half", "second", "third", "fourth"])
        {
            await Ops.SubmitRunAsync(new SubmitRunRequest { Text = Examples.Read("v3-half"), Name = name }, Call());
        }
        // By the plan first, by the pace once it is measured.
        var cluster = await Watched(c => c.Waiting is [{ Wait.Start: { } start }, { Wait.Start: not null }]
            && start.Basis.Contains("its measured pace", StringComparison.Ordinal)
            && c.Waiting.All(w => w.Wait.Ways.Any(y => y.HasGpuHoursAtRisk)));
        var (ahead, behind) = (cluster.Waiting[0], cluster.Waiting[1]);
        var preempt = behind.Wait.Ways.Single(w => w.Kind == "preempt");
        Assert.Equal("capacity", behind.Wait.Reasons[0].Kind);
        Assert.True(ahead.Wait.Start.Earliest.ToDateTimeOffset() <= ahead.Wait.Start.Likely.ToDateTimeOffset());
        Assert.Equal($"dsops queue preempt {preempt.Victims[0]} --for {behind.Run}/pretrain", preempt.Command);
        // Its save takes seconds and the restart 5 minutes, on 1,024 GPUs.
        Assert.InRange(preempt.GpuHours, 1024 * 5 / 60.0, 1024 * 8 / 60.0);

        var moved =
            await Ops.MoveWaitingGangAsync(new MoveWaitingGangRequest { Run = behind.Run, Stage = "pretrain", Reason = "a paper is due" },
                Call());
        Assert.Equal([behind.Run, ahead.Run], moved.Waiting.Select(w => w.Run));
        Assert.Equal("a paper is due", moved.Waiting[0].Moved);
        var again = await Assert.ThrowsAsync<RpcException>(async () =>
            await Ops.MoveWaitingGangAsync(new MoveWaitingGangRequest { Run = behind.Run, Stage = "pretrain" }, Call()));
        Assert.Equal(StatusCode.FailedPrecondition, again.StatusCode);

        await Ops.GiveWayAsync(new GiveWayRequest { Gangs = { preempt.Victims }, For = $"{behind.Run}/pretrain" }, Call());
        var after =
            await Watched(c => c.Waiting.All(w => w.Run != behind.Run) && c.Waiting.Any(w => $"{w.Run}/{w.Stage}" == preempt.Victims[0]));
        Assert.Contains(after.Nodes, n => n.Run == behind.Run);
        var run = await Ops.GetRunAsync(new GetRunRequest { Name = ahead.Run }, Call());
        Assert.NotEmpty(run.Stages[0].Wait.Reasons);
    }

    [Fact]
    public async Task Maintenance_by_hand_drains_its_nodes_takes_them_out_and_gives_them_back_when_it_is_cancelled()
    {
        await Ops.SubmitRunAsync(new SubmitRunRequest { Text = Examples.Read("v3-half") }, Call());
        await Told("started", after: 0);
        var victim = (await Ops.GetClusterAsync(new GetClusterRequest(), Call())).Nodes.First(n => n.SlotsUsed > 0);
        var now = TimeProvider.System.GetUtcNow();
        await Ops.PlanMaintenanceAsync(new PlanMaintenanceRequest
        {
            Name = "fans", Nodes = { victim.Name }, From = now.ToTimestamp(), Until = now.AddHours(1).ToTimestamp(), Reason = "loud",
        }, Call());

        var drained = await Told("drained", after: 0);
        await Told("checkpoint", after: drained.Number);
        await Told("started", after: drained.Number);
        var node = (await Ops.GetClusterAsync(new GetClusterRequest(), Call())).Nodes.Single(n => n.Name == victim.Name);
        Assert.Equal(("maintenance", 0), (node.State, node.SlotsUsed));
        Assert.Contains("loud", node.Reason, StringComparison.Ordinal);
        var back = await Ops.CancelMaintenanceAsync(new CancelMaintenanceRequest { Name = "fans" }, Call());
        Assert.Equal("ready", back.Nodes.Single(n => n.Name == victim.Name).State);
        Assert.Empty(back.Maintenance);
    }

    private async Task<Cluster> Watched(Func<Cluster, bool> wanted)
    {
        using var clusters = Ops.WatchCluster(new GetClusterRequest(), Call());
        await foreach (var seen in clusters.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken))
        {
            if (wanted(seen))
            {
                return seen;
            }
        }

        throw new InvalidOperationException("The cluster's stream ended.");
    }

    private static CallOptions Call() =>
        new(deadline: TimeProvider.System.GetUtcNow().UtcDateTime + Patience, cancellationToken: TestContext.Current.CancellationToken);

    private Task<Event> Told(string kind, long after) => Told(e => e.Kind == kind, after);

    private async Task<Event> Told(Func<Event, bool> wanted, long after)
    {
        using var events = Ops.WatchEvents(new ListEventsRequest { Run = "v3-half", After = after }, Call());
        await foreach (var told in events.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken))
        {
            if (wanted(told))
            {
                return told;
            }
        }

        throw new InvalidOperationException("The timeline ended.");
    }
}
