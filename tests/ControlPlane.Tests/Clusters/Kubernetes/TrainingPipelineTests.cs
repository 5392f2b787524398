using System.Text.Json.Nodes;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Clusters.Kubernetes;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Tests.Api;
using DeepSeekOps.Decisions.Pods;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

/// <summary>A whole control plane on an API server that behaves as real ones were measured to; it has no node, so nothing trains.</summary>
public sealed class TrainingPipelineTests : IAsyncLifetime
{
    private const string Plural = PipelineObject.Plural;

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-declared-").FullName;
    private FakeApiServer server = null!;
    private WebApplication app = null!;
    private GrpcChannel channel = null!;
    private OpsService.OpsServiceClient ops = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        server = await FakeApiServer.Begin();
        server.Defined.Add(Plural);
        await Start();
    }

    public async ValueTask DisposeAsync()
    {
        await Stop();
        await server.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task An_applied_pipeline_runs_tells_its_state_and_is_cancelled_by_its_deletion_even_of_a_control_plane_that_was_away()
    {
        Apply("mini", Spec());
        await Until("it is queued", "mini", s => (string?)s["state"] == "queued");
        var item = server.Get($"{Plural}/dsops/mini")!;
        Assert.Equal(("mini", "pretrain", "0/10", 1L), ((string?)item["status"]!["run"], (string?)item["status"]!["stage"],
            (string?)item["status"]!["progress"], (long)item["status"]!["observedGeneration"]!));
        Assert.Equal("True", Condition(item, "Accepted", "status"));
        Assert.Equal("False", Condition(item, "Finished", "status"));
        Assert.NotEmpty((string)item["status"]!["reason"]!);
        var run = await Run("mini");
        Assert.Equal("TrainingPipeline dsops/mini", run.DeclaredBy);
        var events = await ops.ListEventsAsync(new ListEventsRequest { Run = "mini" }, cancellationToken: Cancellation);
        Assert.Contains("declared by TrainingPipeline dsops/mini",
            Assert.Single(events.Events, e => e.Kind == "submitted").Text, StringComparison.Ordinal);

        await Stop();
        await Delete("mini");
        Assert.NotNull(server.Get($"{Plural}/dsops/mini"));
        server.EndWatches();
        server.Compact();
        await Start();
        await Gone("mini");
        run = await Run("mini");
        Assert.Equal("cancelled", run.State);
        Assert.Contains("TrainingPipeline dsops/mini was deleted", run.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refused_spec_is_told_field_value_and_fix_and_is_taken_once_it_is_mended()
    {
        var wrong = Spec();
        wrong["prioritee"] = "high";
        wrong["stages"]![0]!["sequenceLength"] = "long";
        Apply("mini", wrong);
        await Until("it is refused", "mini", s => (string?)s["state"] == "refused");
        var item = server.Get($"{Plural}/dsops/mini")!;
        string words = Condition(item, "Accepted", "message");
        Assert.Equal(("False", "Refused"), (Condition(item, "Accepted", "status"), Condition(item, "Accepted", "reason")));
        Assert.Contains("prioritee", words, StringComparison.Ordinal);
        Assert.Contains("stages[0].sequenceLength: 'long'", words, StringComparison.Ordinal);
        Assert.Contains("Fix: ", words, StringComparison.Ordinal);
        // Nothing of it began, so nothing holds it back.
        Apply("mini", Spec(), generation: 2);
        await Until("it is taken", "mini", s => (string?)s["state"] == "queued" && (long)s["observedGeneration"]! == 2);
    }

    [Fact]
    public async Task A_name_that_a_submitted_run_has_is_told_and_deletion_leaves_that_run_alone()
    {
        string text = Spec("mini").ToJsonString();
        await ops.SubmitRunAsync(new SubmitRunRequest { Text = text }, cancellationToken: Cancellation);
        Apply("mini", Spec());
        await Until("it is refused", "mini", s => (string?)s["state"] == "refused");
        Assert.Equal("NameTaken", Condition(server.Get($"{Plural}/dsops/mini")!, "Accepted", "reason"));
        await Delete("mini");
        await Gone("mini");
        Assert.Equal("queued", (await Run("mini")).State);
    }

    [Fact]
    public async Task A_changed_spec_is_refused_with_the_difference_and_taken_again_when_it_is_put_back_through_all_that_servers_do()
    {
        Apply("mini", Spec());
        await Until("it is queued", "mini", s => (string?)s["state"] == "queued");
        server.EndWatches();
        server.Compact();
        var other = Spec();
        other["seed"] = 7;
        Apply("mini", other, generation: 2);
        await Until("the change is refused", "mini", s => (long)s["observedGeneration"]! == 2);
        var item = server.Get($"{Plural}/dsops/mini")!;
        Assert.Equal(("False", "SpecChanged", "queued"),
            (Condition(item, "Accepted", "status"), Condition(item, "Accepted", "reason"), (string?)item["status"]!["state"]));
        Assert.Contains("seed", Condition(item, "Accepted", "message"), StringComparison.Ordinal);
        await server.Stop();
        await server.Start();
        Apply("mini", Spec(), generation: 3);
        await Until("it is as it was", "mini", s => (long)s["observedGeneration"]! == 3);
        Assert.Equal("True", Condition(server.Get($"{Plural}/dsops/mini")!, "Accepted", "status"));
    }

    [Fact]
    public async Task A_resource_that_is_labelled_for_another_control_plane_is_not_ours()
    {
        var neighbours = Item("theirs", Spec(), 1);
        neighbours["metadata"]!["labels"] = new JsonObject { [GangNames.Instance] = "neighbour" };
        server.Put(Plural, neighbours);
        Apply("mini", Spec());
        await Until("ours is queued", "mini", s => (string?)s["state"] == "queued");
        Assert.Null(server.Get($"{Plural}/dsops/theirs")!["metadata"]!["finalizers"]);
    }

    private static JsonObject Spec(string? name = null)
    {
        var spec = JsonNode.Parse("""
            {
              "model": {"preset": "mini"}, "data": {"source": "builtin:arithmetic", "tokenizer": "byte"},
              "stages": [{"name": "pretrain", "kind": "pretraining", "tokens": 5120, "sequenceLength": 64,
                "batchSize": {"from": 8, "to": 8, "over": 0}, "learningRate": [{"shape": "constant", "to": 0.001, "until": "100%"}]}]
            }
            """)!.AsObject();
        if (name is not null)
        {
            spec["apiVersion"] = "deepseekops/v1";
            spec["name"] = name;
        }

        return spec;
    }

    private static JsonObject Item(string name, JsonObject spec, long generation) => new()
    {
        ["apiVersion"] = "deepseekops.io/v1", ["kind"] = "TrainingPipeline",
        ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = "dsops", ["generation"] = generation },
        ["spec"] = spec,
    };

    private static string Condition(JsonObject item, string type, string field) =>
        (string)item["status"]!["conditions"]!.AsArray().Single(c => (string?)c!["type"] == type)![field]!;

    private void Apply(string name, JsonObject spec, long generation = 1)
    {
        if (generation == 1)
        {
            server.Put(Plural, Item(name, spec, generation));
            return;
        }

        server.Change($"{Plural}/dsops/{name}", item =>
        {
            item["spec"] = spec;
            item["metadata"]!["generation"] = generation;
        });
    }

    private async Task Delete(string name)
    {
        using var http = new HttpClient { BaseAddress = new Uri(server.Host) };
        using var done = await http.DeleteAsync(new Uri($"/apis/deepseekops.io/v1/namespaces/dsops/{Plural}/{name}", UriKind.Relative),
            Cancellation);
        done.EnsureSuccessStatusCode();
    }

    private async Task<Run> Run(string name) => await ops.GetRunAsync(new GetRunRequest { Name = name }, cancellationToken: Cancellation);

    private Task Until(string what, string name, Func<JsonObject, bool> holds) => Is(what,
        () => server.Get($"{Plural}/dsops/{name}")?["status"] is JsonObject status && holds(status),
        () => server.Get($"{Plural}/dsops/{name}")?.ToJsonString() ?? "it is not there");

    private Task Gone(string name) => Is($"{name} is gone", () => server.Get($"{Plural}/dsops/{name}") is null,
        () => server.Get($"{Plural}/dsops/{name}")!.ToJsonString());

    private static async Task Is(string what, Func<bool> holds, Func<string> last)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(TimeSpan.FromMinutes(2));
        using var beat = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!holds())
        {
            Assert.True(!limit.IsCancellationRequested, $"not within two minutes: {what}; {last()}");
            await beat.WaitForNextTickAsync(CancellationToken.None);
        }
    }

    private async Task Start()
    {
        string kubeconfig = Path.Combine(folder, "kubeconfig");
        await File.WriteAllTextAsync(kubeconfig, $$"""
            apiVersion: v1
            kind: Config
            clusters: [{name: c, cluster: {server: "{{server.Host}}"} }]
            users: [{name: u, user: {token: t} }]
            contexts: [{name: x, context: {cluster: c, user: u, namespace: dsops} }]
            current-context: x
            """, Cancellation);
        var options = new ControlPlaneOptions
        {
            DataDirectory = folder, Port = 0,
            Cluster = new KubernetesChoice
            {
                Kubeconfig = kubeconfig,
                Pods = new PodSettings
                {
                    Image = "worker", ControlUrl = "http://dsops:5082", Checkpoints = Path.Combine(folder, "checkpoints"),
                },
            },
        };
        var endpoints = Endpoints.Choose(options);
        var database = OpsDatabase.Parse(null, folder);
        await StorageHosting.Prepare(database, Cancellation);
        app = ControlPlaneApp.Build(options, endpoints, database, logging => logging.ClearProviders());
        await app.StartAsync(Cancellation);
        channel = TokenChannel.To(endpoints.Grpc, app.Services.GetRequiredService<AccessKey>().PeoplesToken);
        ops = new OpsService.OpsServiceClient(channel);
    }

    private async Task Stop()
    {
        channel.Dispose();
        await app.StopAsync(CancellationToken.None);
        await app.DisposeAsync();
    }
}
