using DeepSeekOps.Contracts;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Simulation;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

/// <summary>A run of 2,048 ranks on 256 simulated nodes, as its page and its command line hear of it.</summary>
public sealed class GangViewTests : IAsyncLifetime
{
    /// <summary>A run is told twice a second at most, and a page has 5 kB a second for it.</summary>
    private const int ViewBytesMax = 2_500;

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-gang-").FullName;
    private WebApplication? app;
    private GrpcChannel? channel;
    private OpsService.OpsServiceClient ops = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var options = new ControlPlaneOptions
        {
            DataDirectory = folder, Port = 0, Cluster = new SimulatedChoice { Nodes = 256, Faults = FaultMix.None, TimeFactor = 100 },
        };
        var endpoints = Endpoints.Choose(options);
        var database = OpsDatabase.Parse(null, folder);
        await StorageHosting.Prepare(database, Cancellation);
        app = ControlPlaneApp.Build(options, endpoints, database, logging => logging.ClearProviders());
        await app.StartAsync(Cancellation);
        channel = TokenChannel.To(endpoints.Grpc, app.Services.GetRequiredService<AccessKey>().PeoplesToken);
        ops = new OpsService.OpsServiceClient(channel);
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
    public async Task A_view_of_2048_ranks_is_as_small_as_one_of_eight_and_each_rank_is_there_for_who_asks()
    {
        string text = Pipelines.Examples.Read("deepseek-v3");
        await ops.SubmitRunAsync(new SubmitRunRequest { Text = text }, cancellationToken: Cancellation);
        using var watch = ops.WatchRun(new GetRunRequest { Name = "deepseek-v3" }, cancellationToken: Cancellation);
        var sizes = new List<int>();
        Run view;
        do
        {
            Assert.True(await watch.ResponseStream.MoveNext(Cancellation));
            view = watch.ResponseStream.Current;
            // The text comes once.
            Assert.Equal(sizes.Count == 0, view.Pipeline.Length > 0);
            sizes.Add(view.CalculateSize());
        }
        while (view.Stages[0] is not { State: "running" } || sizes.Count < 4);

        TestContext.Current.SendDiagnosticMessage($"bytes of each view: {string.Join(' ', sizes)}");
        Assert.All(sizes.Skip(1), size => Assert.InRange(size, 1, ViewBytesMax));
        Assert.Equal(2048, view.Stages[0].RankCount());
        Assert.Equal(Enumerable.Range(0, 2048), await EveryRank(new ListRanksRequest { PageSize = 1_000 }));
        Assert.Equal(Enumerable.Range(0, 8), await EveryRank(new ListRanksRequest { Node = "node-0000", PageSize = 3 }));
        Assert.Empty(await EveryRank(new ListRanksRequest { State = "exited" }));
        var cluster = await ops.GetClusterAsync(new GetClusterRequest(), cancellationToken: Cancellation);
        Assert.All(cluster.Nodes, node => Assert.Equal(8, Assert.Single(node.Work).Ranks.Count));
        var refused = await Assert.ThrowsAsync<RpcException>(
            async () => await ops.ListRanksAsync(
                new ListRanksRequest { Run = "deepseek-v3", Stage = "none" }, cancellationToken: Cancellation));
        Assert.Equal(StatusCode.NotFound, refused.StatusCode);
    }

    private async Task<List<int>> EveryRank(ListRanksRequest request)
    {
        (request.Run, request.Stage) = ("deepseek-v3", "pretrain");
        var ranks = new List<int>();
        ListRanksReply page;
        do
        {
            page = await ops.ListRanksAsync(request, cancellationToken: Cancellation);
            ranks.AddRange(page.Ranks.Select(r => r.Rank_));
            request.After = ranks.DefaultIfEmpty(0).Last();
        }
        while (page.More);
        return ranks;
    }
}
