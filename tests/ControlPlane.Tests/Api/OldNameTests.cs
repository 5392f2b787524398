using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Tests.Grains;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

public sealed class OldNameTests
{
    /// <summary>Earlier versions took a name that ends in a line feed, and nothing could end its run.</summary>
    [Theory]
    [InlineData("okn\n", "okn%0A")]
    [InlineData("two words", "two%20words")]
    public async Task A_run_that_exists_can_be_seen_and_ended_whatever_its_name_is(string name, string inAddress)
    {
        var cancelled = TestContext.Current.CancellationToken;
        string folder = Directory.CreateTempSubdirectory("dsops-names-").FullName;
        var options = new ControlPlaneOptions { DataDirectory = folder, Port = 0, Cluster = new SimulatedChoice { Nodes = 1 } };
        var endpoints = Endpoints.Choose(options);
        var database = OpsDatabase.Parse(null, folder);
        await StorageHosting.Prepare(database, cancelled);
        await using var app = ControlPlaneApp.Build(options, endpoints, database, logging => logging.ClearProviders());
        await app.StartAsync(cancelled);
        await app.Services.GetRequiredService<IGrainFactory>().GetGrain<IRunGrain>(name)
            .Submit(TestPipelines.Of(name, ("pretrain", 1_000_000)), cancelled);
        using var http = new HttpClient { BaseAddress = new Uri(endpoints.Http) };
        string token = app.Services.GetRequiredService<AccessKey>().PeoplesToken;
        http.DefaultRequestHeaders.Authorization = new("Bearer", token);
        using var channel = TokenChannel.To(endpoints.Grpc, token);
        var ops = new OpsService.OpsServiceClient(channel);

        Assert.Equal(name, (await ops.GetRunAsync(new GetRunRequest { Name = name }, cancellationToken: cancelled)).Name);
        var other =
            await Assert.ThrowsAsync<RpcException>(
                async () => await ops.CancelRunAsync(new RunCommand { Name = name + "\t" }, cancellationToken: cancelled));
        Assert.Equal(StatusCode.InvalidArgument, other.StatusCode);
        // A key of nothing but blanks is none: it was an internal error, and a stack trace in the log.
        var blank =
            await Assert.ThrowsAsync<RpcException>(
                async () => await ops.GetRunAsync(new GetRunRequest { Name = "\n" }, cancellationToken: cancelled));
        Assert.Equal(StatusCode.InvalidArgument, blank.StatusCode);
        using var empty = new StringContent("{}", System.Text.Encoding.UTF8, "application/json");
        using var answer = await http.PostAsync(new Uri($"/v1/runs/{inAddress}:cancel", UriKind.Relative), empty, cancelled);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(cancelled));
        // Where its pods are up already, they end first.
        while ((await ops.GetRunAsync(new GetRunRequest { Name = name }, cancellationToken: cancelled)).State is var state
            && state != "cancelled")
        {
            Assert.Equal("cancelling", state);
            await Task.Delay(50, cancelled);
        }
        await app.StopAsync(cancelled);
        Directory.Delete(folder, recursive: true);
    }
}
