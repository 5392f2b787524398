using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Runs;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

/// <summary>Lists at their longest, asked for by a client that refuses messages above 4 MB as gRPC's do.</summary>
public sealed class AnswerSizeTests : IAsyncLifetime
{
    private readonly string folder = Directory.CreateTempSubdirectory("dsops-sizes-").FullName;
    private WebApplication? app;
    private GrpcChannel? channel;
    private OpsService.OpsServiceClient ops = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var options = new ControlPlaneOptions { DataDirectory = folder, Port = 0, Cluster = new SimulatedChoice { Nodes = 1 } };
        var endpoints = Endpoints.Choose(options);
        var database = OpsDatabase.Parse(null, folder);
        await StorageHosting.Prepare(database, Cancellation);
        app = ControlPlaneApp.Build(options, endpoints, database, logging => logging.ClearProviders());
        await app.StartAsync(Cancellation);
        channel = TokenChannel.To(endpoints.Grpc, app.Services.GetRequiredService<AccessKey>().PeoplesToken);
        ops = new OpsService.OpsServiceClient(channel);
        // It asks for more nodes than there are, so that nothing of it runs and only what the test writes is there.
        await ops.SubmitRunAsync(new SubmitRunRequest { Text = Text("big") }, cancellationToken: Cancellation);
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
    public async Task Three_thousand_runs_of_more_than_4_MB_come_in_pages_and_each_once()
    {
        var registry = app!.Services.GetRequiredService<RunRegistry>();
        foreach (int[] some in Enumerable.Range(0, 3_000).Chunk(250))
        {
            await Task.WhenAll(some.Select(i => registry.Record(
                new RunView($"old-{i:00000}", "research", "completed", new string('y', 2_000), DateTimeOffset.UnixEpoch.AddMinutes(i), null,
                    [],
                    new string('#', 5_000), false)
                { Parameters = 1 }, Cancellation)));
        }

        var names = new HashSet<string>();
        var request = new ListRunsRequest { PageSize = 1_000 };
        ListRunsReply reply;
        do
        {
            reply = await ops.ListRunsAsync(request, cancellationToken: Cancellation);
            Assert.InRange(reply.CalculateSize(), 1, 1 << 20);
            Assert.All(reply.Runs, run => Assert.True(names.Add(run.Name), run.Name));
            request.PageToken = reply.NextPageToken;
        }
        while (request.PageToken.Length > 0);
        Assert.Equal(3_001, names.Count);
        Assert.Equal((3_001, 3_000), (reply.All, reply.States["completed"]));
        Assert.Equal("old-00000",
            Assert.Single((await ops.ListRunsAsync(new ListRunsRequest { Search = "old-00000" }, cancellationToken: Cancellation)).Runs)
                .Name);
    }

    [Fact]
    public async Task Sixty_runs_with_94_kB_of_comments_are_one_small_answer()
    {
        for (int i = 0; i < 60; i++)
        {
            await ops.SubmitRunAsync(new SubmitRunRequest { Text = Text($"long-{i}") + new string('#', 94_000) },
                cancellationToken: Cancellation);
        }

        var reply = await ops.ListRunsAsync(new ListRunsRequest(), cancellationToken: Cancellation);
        Assert.Equal(61, reply.Runs.Count);
        Assert.InRange(reply.CalculateSize(), 1, 100_000);
        using var watch = ops.WatchRuns(new ListRunsRequest { ChangesOnly = true }, cancellationToken: Cancellation);
        Assert.True(await watch.ResponseStream.MoveNext(Cancellation));
        Assert.Equal(61, watch.ResponseStream.Current.Runs.Count);
    }

    [Fact]
    public async Task Events_with_long_sentences_come_in_pages_that_a_client_takes()
    {
        await app!.Services.GetRequiredService<EventWriter>().Append(
            [.. Enumerable.Range(0, 400).Select(i => new RunEvent(
                DateTimeOffset.UnixEpoch.AddSeconds(i), "big", "pretrain", 1, "note",
                EventLevel.Warning, $"{i} {new string('x', 16_000)}"))], Cancellation);
        var texts = new List<string>();
        var request = new ListEventsRequest { Run = "big", PageSize = 1_000 };
        ListEventsReply reply;
        do
        {
            reply = await ops.ListEventsAsync(request, cancellationToken: Cancellation);
            texts.AddRange(reply.Events.Where(e => e.Kind == "note").Select(e => e.Text.Split(' ')[0]));
            request.After = reply.Events[^1].Number;
        }
        while (reply.More);
        Assert.Equal(Enumerable.Range(0, 400).Select(i => $"{i}"), texts);
    }

    [Fact]
    public async Task Five_thousand_checkpoints_of_more_than_4_MB_come_in_pages_the_newest_first()
    {
        var registry = app!.Services.GetRequiredService<CheckpointRegistry>();
        foreach (int[] some in Enumerable.Range(1, 5_000).Chunk(250))
        {
            await Task.WhenAll(some.Select(i => registry.Record(new StageId("big", "pretrain"), new StageCheckpoint(
                new CheckpointMade(i * 15, $"big/pretrain/step-{i * 15}", 1 << 30, new string('a', 64), i, 2, "epoch 0", TimeSpan.Zero,
                    TimeSpan.Zero,
                    DateTimeOffset.UnixEpoch.AddSeconds(i / 10), 1, false), CheckpointState.Deleted, new string('z', 900), ""),
                    Cancellation)));
        }

        var steps = new List<long>();
        var request = new ListCheckpointsRequest { Run = "big", PageSize = 2_000 };
        ListCheckpointsReply reply;
        do
        {
            reply = await ops.ListCheckpointsAsync(request, cancellationToken: Cancellation);
            steps.InsertRange(0, reply.Checkpoints.Select(c => c.Step));
            request.PageToken = reply.NextPageToken;
        }
        while (request.PageToken.Length > 0);
        Assert.Equal(Enumerable.Range(1, 5_000).Select(i => i * 15L), steps);
    }

    [Fact]
    public async Task Logs_of_long_lines_are_cut_at_their_beginning_and_say_so()
    {
        var store = app!.Services.GetRequiredService<LogStore>();
        for (int chunk = 0; chunk < 20; chunk++)
        {
            var lines = Enumerable.Range(chunk * 100, 100)
                .Select(i => new LogLine(DateTimeOffset.UnixEpoch.AddSeconds(i), $"{i} {new string('x', 16_000)}", false));
            await store.Append(new StageId("big", "pretrain"), 1, 0, "node-0", chunk * 100, [.. lines], Cancellation);
        }

        var reply = await ops.GetLogsAsync(new GetLogsRequest { Run = "big", Tail = 2_000 }, cancellationToken: Cancellation);
        Assert.Equal(2_000, reply.Entries.Count + reply.LeftOut);
        Assert.StartsWith("1999 ", reply.Entries[^1].Text, StringComparison.Ordinal);
        Assert.InRange(reply.CalculateSize(), 2 << 20, 3 << 20);
    }

    [Fact]
    public async Task A_pipeline_with_a_thousand_faults_tells_the_first_hundred()
    {
        string text = Text("wrong") + string.Concat(Enumerable.Range(0, 2_000).Select(i => $"fault{i}: {new string('x', 200)}\n"));
        var reply = await ops.CheckPipelineAsync(new CheckPipelineRequest { Text = text }, cancellationToken: Cancellation);
        Assert.InRange(reply.Problems.Count, 2, 101);
        Assert.InRange(reply.CalculateSize(), 1, 1 << 20);
        var refused =
            await Assert.ThrowsAsync<RpcException>(
                () => ops.SubmitRunAsync(new SubmitRunRequest { Text = text }, cancellationToken: Cancellation).ResponseAsync);
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains("more; fix these first.", refused.Status.Detail, StringComparison.Ordinal);
    }

    private static string Text(string name) => $$"""
        apiVersion: deepseekops/v1
        name: {{name}}
        team: tests
        model: {preset: mini, layers: 2, hiddenSize: 64, intermediateSize: 128, moeIntermediateSize: 48,
            routedExperts: 8, activeExperts: 2, groups: 4, limitedGroups: 2}
        data: {source: "builtin:arithmetic", tokenizer: byte, heldout: 20}
        resources: {nodes: 50, ranksPerNode: 1, device: cpu}
        stages:
          - name: pretrain
            kind: pretraining
            tokens: 409600
            sequenceLength: 64
            batchSize: {from: 400, to: 400, over: 0}
            learningRate:
              - {shape: constant, to: 1e-3, until: 409600}

        """;
}
