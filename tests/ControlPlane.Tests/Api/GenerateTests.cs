using System.Diagnostics;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Clusters.Generation;
using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

/// <summary>A control plane whose workers have trained four steps, for all tests of this file.</summary>
public sealed class TrainedRun : IAsyncLifetime
{
    private const string Pipeline = """
        apiVersion: deepseekops/v1
        name: tiny
        team: tests
        seed: 1
        model: {preset: mini, layers: 2, hiddenSize: 64, intermediateSize: 128, moeIntermediateSize: 48, routedExperts: 8,
          activeExperts: 2, groups: 4, limitedGroups: 2}
        data: {source: "builtin:arithmetic", tokenizer: byte, heldout: 20}
        resources: {nodes: 1, ranksPerNode: 1, device: cpu}
        checkpoints: {everySteps: 2, keep: 3}
        stages:
          - name: pretrain
            kind: pretraining
            tokens: 2048
            sequenceLength: 64
            batchSize: {from: 8, to: 8, over: 0}
            learningRate: [{shape: constant, to: 1e-3, until: 2048}]
            gamma: {before: 0.001, after: 0, at: 1024}
            alpha: 1e-4
            lambda: {before: 0.3, after: 0.1, at: 1024}
        """;

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-try-").FullName;
    private GrpcChannel? channel;

    public WebApplication App { get; private set; } = null!;

    public OpsService.OpsServiceClient Ops { get; private set; } = null!;

    public string CheckpointFolder(string path) => Path.Combine(folder, "checkpoints", path);

    public async ValueTask InitializeAsync()
    {
        var options = new ControlPlaneOptions { DataDirectory = folder, Port = 0, Cluster = new LocalChoice { Nodes = 1 } };
        var endpoints = Endpoints.Choose(options);
        var database = OpsDatabase.Parse(null, folder);
        await StorageHosting.Prepare(database, CancellationToken.None);
        App = ControlPlaneApp.Build(options, endpoints, database, logging => logging.ClearProviders());
        await App.StartAsync();
        var key = App.Services.GetRequiredService<AccessKey>();
        KeyFile.WritePrivately(Path.Combine(folder, ControlFile.Name), endpoints.ToFile(key).ToJson());
        channel = TokenChannel.To(endpoints.Grpc, key.PeoplesToken);
        Ops = new OpsService.OpsServiceClient(channel);
        await Ops.SubmitRunAsync(new SubmitRunRequest { Text = Pipeline });
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        using var watch = Ops.WatchRun(new GetRunRequest { Name = "tiny" }, cancellationToken: limit.Token);
        while (watch.ResponseStream.Current?.State != "completed")
        {
            Assert.True(await watch.ResponseStream.MoveNext(limit.Token), "the run's stream ended before the run");
            Assert.NotEqual("failed", watch.ResponseStream.Current?.State);
        }
    }

    public async ValueTask DisposeAsync()
    {
        channel?.Dispose();
        await App.Services.GetRequiredService<LocalProcessCluster>().Stop("the test is over", CancellationToken.None);
        await App.StopAsync();
        await App.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }
}

public sealed class GenerateTests(TrainedRun trained) : IClassFixture<TrainedRun>
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_newest_checkpoint_speaks_and_the_same_worker_answers_the_next_prompt()
    {
        var first = await Text(Ask());
        Assert.Equal(("ended", 4L, 20), (first[^1].Phase, first[^1].Step, first[^1].Tokens));
        string? worker = Generations.PodName;
        Assert.NotNull(worker);
        var second = await Text(Ask());
        Assert.Equal(worker, Generations.PodName);
        Assert.DoesNotContain(second, reply => reply.Phase is "starting" or "loading");
        Assert.Equal(string.Concat(first.Select(r => r.Text)), string.Concat(second.Select(r => r.Text)));
        var older = Ask();
        older.Step = 2;
        Assert.Equal(2, (await Text(older))[^1].Step);
    }

    [Theory]
    [InlineData(StatusCode.NotFound, "There is no run named tinny. Did you mean tiny?", "tinny", "pretrain", "a")]
    [InlineData(StatusCode.NotFound, "it has pretrain", "tiny", "pretraining", "a")]
    [InlineData(StatusCode.FailedPrecondition, "has no checkpoint of step 3", "tiny", "pretrain", "a", 3L)]
    [InlineData(StatusCode.InvalidArgument, "step is -1", "tiny", "pretrain", "a", -1L)]
    [InlineData(StatusCode.InvalidArgument, "prompt is empty", "tiny", "pretrain", "")]
    [InlineData(StatusCode.InvalidArgument, "temperature is NaN", "tiny", "pretrain", "a", 4L, double.NaN)]
    [InlineData(StatusCode.InvalidArgument, "maxTokens is 1000000", "tiny", "pretrain", "a", 4L, 0.0, 1_000_000)]
    [InlineData(StatusCode.FailedPrecondition, "more than the", "tiny", "pretrain", "a", 4L, 0.0, 8_000)]
    [InlineData(StatusCode.InvalidArgument, "is not a name", "tiny", "../../etc", "a")]
    public async Task What_cannot_be_tried_is_said_in_words(
        StatusCode code, string words, string run, string stage, string prompt, long step = 4, double temperature = 0, int maxTokens = 20)
    {
        var request = new GenerateRequest
        {
            Run = run,
            Stage = stage,
            Prompt = prompt,
            Step = step,
            Temperature = temperature,
            MaxTokens = maxTokens,
        };
        var refused = await Assert.ThrowsAsync<RpcException>(() => Text(request));
        Assert.Equal(code, refused.StatusCode);
        Assert.Contains(words, refused.Status.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(CheckpointState.Deleted, "pretrain/step-00000004", "was deleted: because the test says so")]
    [InlineData(CheckpointState.Quarantined, "pretrain/step-00000004", "was refused: because the test says so")]
    [InlineData(CheckpointState.Good, "pretrain/step-00000006", "are not there any more")]
    [InlineData(CheckpointState.Good, "../../../../../etc", "are not there any more")]
    public async Task A_checkpoint_that_is_not_to_be_used_is_not_loaded(CheckpointState state, string path, string words)
    {
        var made = new CheckpointMade(
            7, Path.Combine("tiny", path), 1, "", 1, 1, "", TimeSpan.Zero, TimeSpan.Zero, TimeProvider.System.GetUtcNow(), 1, Final: false);
        await trained.App.Services.GetRequiredService<CheckpointRegistry>().Record(
            new StageId("tiny", "pretrain"), new StageCheckpoint(made, state, "because the test says so", ""), Cancelled);
        var request = Ask();
        request.Step = 7;
        var refused = await Assert.ThrowsAsync<RpcException>(() => Text(request));
        Assert.Equal(StatusCode.FailedPrecondition, refused.StatusCode);
        Assert.Contains(words, refused.Status.Detail, StringComparison.Ordinal);
        // Others of this file ask for the newest.
        await trained.App.Services.GetRequiredService<CheckpointRegistry>().Record(
            new StageId("tiny", "pretrain"), new StageCheckpoint(made, CheckpointState.Deleted, "the test is over", ""), Cancelled);
    }

    [Fact]
    public async Task One_text_at_a_time_and_leaving_it_makes_room_for_the_next()
    {
        await using var generations = Made(new GenerationLimits { WaitForTurn = TimeSpan.FromMilliseconds(50) });
        await using var first = generations.Continue(Endless(), "first", Cancelled).GetAsyncEnumerator(Cancelled);
        while (first.Current is not { Tokens: > 0 })
        {
            Assert.True(await first.MoveNextAsync());
        }

        var busy = Assert.Single(await All(generations, Short()));
        Assert.Equal("busy", busy.Phase);
        Assert.Contains("by first", busy.Reason, StringComparison.Ordinal);
        await first.DisposeAsync();
        var after = await All(generations, Short());
        Assert.Equal("ended", after[^1].Phase);
        // Told to stop, the worker has kept its checkpoint.
        Assert.DoesNotContain(after, news => news.Phase is "starting" or "loading");
    }

    [Fact]
    public async Task A_text_that_takes_too_long_is_ended_with_what_is_there()
    {
        await using var generations = Made(new GenerationLimits { TextWithin = TimeSpan.Zero });
        var last = (await All(generations, Short()))[^1];
        Assert.True(last is { Phase: "ended", Reason: "time-limit" } or { Phase: "failed" }, last.ToString());
    }

    [Fact]
    public async Task A_worker_that_dies_is_told_of_and_the_next_prompt_has_a_new_one()
    {
        int pid = 0;
        await using var generations = new Generations(new GenerationLimits(), _ =>
        {
            var started = GeneratingProcess.Start(Program);
            pid = started.Pid;
            return Task.FromResult<IGeneratingPod>(started);
        }, TimeProvider.System);
        var seen = new List<GenerationNews>();
        await foreach (var news in generations.Continue(Endless(), "first", Cancelled))
        {
            seen.Add(news);
            if (news.Phase == "loading")
            {
                using var process = Process.GetProcessById(pid);
                process.Kill();
            }
        }

        Assert.Equal("failed", seen[^1].Phase);
        Assert.Contains("signal 9", seen[^1].Reason, StringComparison.Ordinal);
        Assert.Equal("ended", (await All(generations, Short()))[^1].Phase);
    }

    [Fact]
    public async Task A_missing_worker_program_is_named_with_the_fix()
    {
        await using var generations = new Generations(new GenerationLimits(),
            _ => Task.FromResult<IGeneratingPod>(GeneratingProcess.Start(WorkerProgram.Find("/nowhere/at/all", null))),
            TimeProvider.System);
        var last = (await All(generations, Short()))[^1];
        Assert.Equal("refused", last.Phase);
        Assert.Contains("dotnet build -c Release Worker", last.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_worker_ends_when_nobody_has_asked_for_a_while_and_with_the_control_plane()
    {
        var generations = Made(new GenerationLimits { KeepLoaded = TimeSpan.FromMilliseconds(1) });
        await All(generations, Short());
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(TimeSpan.FromMinutes(5));
        using var look = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (generations.PodName is not null)
        {
            Assert.True(await look.WaitForNextTickAsync(limit.Token));
        }

        await generations.DisposeAsync();
    }

    private Generations Generations => trained.App.Services.GetRequiredService<Generations>();

    private static string Program =>
        WorkerProgram.Find(AppContext.BaseDirectory, Environment.GetEnvironmentVariable(WorkerProgram.Variable));

    private Generations Made(GenerationLimits limits) =>
        new(limits, trained.App.Services.GetRequiredService<ITrainingCluster>().Generation, TimeProvider.System);

    private static GenerateRequest Ask() =>
        new() { Run = "tiny", Stage = "pretrain", Prompt = "1+1", MaxTokens = 20, Temperature = 1, Seed = 5 };

    private Prompt Short() =>
        new() { Folder = trained.CheckpointFolder("tiny/pretrain/step-00000004"), Text = "1+1", MaxTokens = 20, Speculate = true };

    /// <summary>As long as the model has places for.</summary>
    private Prompt Endless() => new(Short()) { MaxTokens = 60, Speculate = false, Temperature = 100 };

    private async Task<List<GenerateReply>> Text(GenerateRequest request)
    {
        using var call =
            trained.Ops.Generate(request, deadline: TimeProvider.System.GetUtcNow().UtcDateTime.AddMinutes(1),
                cancellationToken: Cancelled);
        return await call.ResponseStream.ReadAllAsync(Cancelled).ToListAsync(Cancelled);
    }

    private static async Task<List<GenerationNews>> All(Generations generations, Prompt prompt) =>
        await generations.Continue(prompt, "a test", Cancelled).ToListAsync(Cancelled);
}
