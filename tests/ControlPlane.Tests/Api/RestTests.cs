using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

/// <summary>REST as scripts and browsers use it, over HTTP: what is refused is refused in words.</summary>
public sealed class RestTests(RestTests.Host host) : IClassFixture<RestTests.Host>
{
    private readonly HttpClient http = host.Http;

    [Fact]
    public async Task A_wrong_pipeline_is_answered_with_all_its_problems()
    {
        var (status, body) = await Post("/v1/runs", """{"text":"a: 1"}""");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        var problems = body["details"]?[0]?["problems"]?.AsArray() ?? [];
        Assert.Contains(problems, problem => (string?)problem?["field"] == "a");
    }

    /// <summary>One thing, one schema: a script that reads the one reads the other.</summary>
    [Theory]
    [InlineData("deepseek-v3")]
    [InlineData("mini")]
    public async Task A_forecast_is_what_plan_prints_field_by_field(string example)
    {
        string file = Path.Combine(Pipelines.Examples.Root, "deploy", "examples", $"{example}.yaml");
        using var output = new StringWriter();
        var terminal = new Terminal(output, TextWriter.Null, 100, Colors: false, Interactive: false);
        Assert.Equal(0, await CommandLine.Run(["plan", file, "--json"], terminal, TestContext.Current.CancellationToken));
        var printed = JsonNode.Parse(output.ToString())!;
        var asked = new JsonObject { ["text"] = Pipelines.Examples.Read(example), ["folder"] = Path.GetDirectoryName(file) };
        var (status, answered) = await Post("/v1/pipelines:forecast", asked.ToJsonString());
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Empty(answered["problems"]!.AsArray().Select(p => p!.ToString()));
        answered.AsObject().Remove("problems");
        Assert.True(JsonNode.DeepEquals(printed, answered), $"plan: {printed}\nREST: {answered}");
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("[1]")]
    [InlineData("""{"reason":{}}""")]
    public async Task A_body_that_is_no_message_is_refused_in_words(string text)
    {
        var (status, body) = await Post("/v1/runs/mini:pause", text);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.NotEqual("", (string?)body["message"] ?? "");
    }

    [Fact]
    public async Task A_call_that_does_not_exist_is_not_found_in_json()
    {
        var (status, body) = await Read(await http.GetAsync(new Uri("/v1/foo", UriKind.Relative), TestContext.Current.CancellationToken));
        Assert.Equal(HttpStatusCode.NotFound, status);
        Assert.Contains("/v1/foo", (string?)body["message"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("evil.com", HttpStatusCode.MisdirectedRequest)]
    [InlineData("127.0.0.1.evil.com", HttpStatusCode.MisdirectedRequest)]
    [InlineData("localhost", HttpStatusCode.OK)]
    [InlineData("[::1]:9000", HttpStatusCode.OK)]
    public async Task Only_names_of_loopback_are_answered(string host, HttpStatusCode expected)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/version");
        request.Headers.Host = host;
        var (status, body) = await Read(await http.SendAsync(request, TestContext.Current.CancellationToken));
        Assert.Equal(expected, status);
        Assert.True(expected == HttpStatusCode.OK || ((string?)body["message"])?.Contains(host, StringComparison.Ordinal) == true,
            body.ToJsonString());
    }

    [Theory]
    [InlineData("http://evil.com", HttpStatusCode.Forbidden)]
    [InlineData("null", HttpStatusCode.Forbidden)]
    [InlineData("own", HttpStatusCode.NotFound)]
    public async Task A_page_from_elsewhere_cannot_change_a_run(string origin, HttpStatusCode expected)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/runs/nobody:pause")
        {
            Content = new StringContent("{}", Encoding.UTF8, "application/json"),
        };
        request.Headers.TryAddWithoutValidation("Origin", origin == "own" ? http.BaseAddress?.GetLeftPart(UriPartial.Authority) : origin);
        Assert.Equal(expected, (await Read(await http.SendAsync(request, TestContext.Current.CancellationToken))).Status);
    }

    [Fact]
    public async Task The_dashboards_own_websocket_opens_and_another_pages_does_not()
    {
        using var own = new ClientWebSocket();
        own.Options.SetRequestHeader("Authorization", http.DefaultRequestHeaders.Authorization?.ToString());
        own.Options.SetRequestHeader("Origin", http.BaseAddress?.GetLeftPart(UriPartial.Authority));
        await own.ConnectAsync(Socket(), TestContext.Current.CancellationToken);
        Assert.Equal(WebSocketState.Open, own.State);

        using var foreign = new ClientWebSocket();
        foreign.Options.SetRequestHeader("Authorization", http.DefaultRequestHeaders.Authorization?.ToString());
        foreign.Options.SetRequestHeader("Origin", "http://evil.com");
        await Assert.ThrowsAsync<WebSocketException>(() => foreign.ConnectAsync(Socket(), TestContext.Current.CancellationToken));
    }

    private Uri Socket() => new($"ws://{http.BaseAddress?.Authority}/_blazor");

    private async Task<(HttpStatusCode Status, JsonNode Body)> Post(string path, string json)
    {
        using var content = new StringContent(json, Encoding.UTF8, "application/json");
        return await Read(await http.PostAsync(new Uri(path, UriKind.Relative), content, TestContext.Current.CancellationToken));
    }

    private static async Task<(HttpStatusCode Status, JsonNode Body)> Read(HttpResponseMessage answer)
    {
        string text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return (answer.StatusCode, text.Length > 0 ? JsonNode.Parse(text)! : new JsonObject());
    }

    /// <summary>One control plane for all of them: nothing that they ask begins a run.</summary>
    public sealed class Host : IAsyncLifetime
    {
        private readonly string folder = Directory.CreateTempSubdirectory("dsops-rest-").FullName;
        private WebApplication? app;

        internal HttpClient Http { get; } = new();

        public async ValueTask InitializeAsync()
        {
            var options = new ControlPlaneOptions { DataDirectory = folder, Port = 0, Cluster = new LocalChoice { Nodes = 1 } };
            var endpoints = Endpoints.Choose(options);
            var database = OpsDatabase.Parse(null, folder);
            await StorageHosting.Prepare(database, CancellationToken.None);
            app = ControlPlaneApp.Build(options, endpoints, database, logging => logging.ClearProviders());
            await app.StartAsync();
            Http.BaseAddress = new Uri(endpoints.Http);
            Http.DefaultRequestHeaders.Authorization = new("Bearer", app.Services.GetRequiredService<AccessKey>().PeoplesToken);
        }

        public async ValueTask DisposeAsync()
        {
            Http.Dispose();
            if (app is not null)
            {
                await app.StopAsync();
                await app.DisposeAsync();
            }

            Directory.Delete(folder, recursive: true);
        }
    }
}
