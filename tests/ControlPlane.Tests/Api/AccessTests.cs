using System.Globalization;
using System.Net;
using System.Net.WebSockets;
using System.Text;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Hosting.Tls;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Tests.Hosting.Tls;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

/// <summary>One control plane for those who only ask who is let in.</summary>
[CollectionDefinition(nameof(AccessTests))]
public sealed class AccessCollection : ICollectionFixture<AccessTests.Host>;

/// <summary>Who is let in by which door, over the real ports.</summary>
[Collection(nameof(AccessTests))]
public sealed class AccessTests(AccessTests.Host host)
{
    private static readonly AgentClaims Agent = new(new GangId(new StageId("mini", "pretrain"), 3), new NodeId("node-0"));

    private readonly HttpClient http = host.Http;
    private readonly Endpoints endpoints = host.Endpoints;
    private readonly AccessKey key = host.Key;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("/v1/runs")]
    [InlineData("/v1/version")]
    [InlineData("/v1/no-such-call")]
    [InlineData("/control-plane.json")]
    [InlineData("/openapi.json")]
    [InlineData("/series/export.csv?run=a&stage=b")]
    [InlineData("/series/live?run=a")]
    [InlineData("/_blazor/initializers")]
    [InlineData("/runs")]
    [InlineData("/no-such-page")]
    public async Task Without_a_token_nothing_is_told_and_the_fix_is(string path)
    {
        foreach (string? token in new[] { null, "", "wrong", key.CookieValue, key.PageCode, key.PeoplesToken[1..], key.PeoplesToken + "=" })
        {
            using var answer = await Get(path, token);
            string body = await answer.Content.ReadAsStringAsync(Cancelled);
            Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
            Assert.Contains("as the user who started `dsops dev`", System.Text.RegularExpressions.Regex.Unescape(body),
                StringComparison.Ordinal);
            Assert.Contains("--data-dir", body, StringComparison.Ordinal);
        }
        Assert.NotEqual(HttpStatusCode.Unauthorized, (await Get(path, key.PeoplesToken)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await Get(path, key.AgentToken(Agent))).StatusCode);
    }

    [Theory]
    [InlineData("/healthz")]
    [InlineData("/_framework/blazor.web.js")]
    [InlineData("/_content/DeepSeekOps.Dashboard/mark.svg")]
    public async Task What_says_nothing_of_the_runs_is_free(string path) =>
        Assert.Equal(HttpStatusCode.OK, (await Get(path, token: null)).StatusCode);

    [Fact]
    public async Task The_address_that_names_the_control_plane_does_not_tell_its_token()
    {
        string text = await (await Get("/control-plane.json", key.PeoplesToken)).Content.ReadAsStringAsync(Cancelled);
        Assert.Contains(endpoints.Grpc, text, StringComparison.Ordinal);
        Assert.DoesNotContain(key.PeoplesToken, text, StringComparison.Ordinal);
        Assert.DoesNotContain(key.PageCode, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_browser_exchanges_the_code_for_a_cookie_and_goes_on_without_it()
    {
        using var answer = await Get($"/runs/x?code={key.PageCode}&tab=logs", token: null);
        Assert.Equal(HttpStatusCode.SeeOther, answer.StatusCode);
        Assert.Equal("/runs/x?tab=logs", answer.Headers.Location?.OriginalString);
        string cookie = Assert.Single(answer.Headers.GetValues("Set-Cookie"));
        Assert.Contains("httponly", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("samesite=strict", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(key.PeoplesToken, cookie, StringComparison.Ordinal);
        Assert.DoesNotContain(key.PageCode, cookie, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await WithCookie(HttpMethod.Get, "/v1/version", cookie.Split(';')[0], origin: null)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound,
            (await WithCookie(HttpMethod.Post, "/v1/runs/x:pause", cookie.Split(';')[0], endpoints.Http)).StatusCode);
        // Another port of this machine is the same site to a browser, and another's page all the same.
        Assert.Equal(HttpStatusCode.Forbidden,
            (await WithCookie(HttpMethod.Post, "/v1/runs/x:pause", cookie.Split(';')[0], "http://127.0.0.1:1")).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden,
            (await WithCookie(HttpMethod.Post, "/v1/runs/x:pause", cookie.Split(';')[0], origin: null)).StatusCode);
    }

    [Theory]
    [InlineData("//evil.example/", "/evil.example/")]
    [InlineData("/", "/")]
    public async Task The_way_on_never_leads_to_another_host(string path, string expected)
    {
        using var socket = new System.Net.Sockets.TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, endpoints.HttpPort, Cancelled);
        await socket.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
            $"GET {path}?code={key.PageCode} HTTP/1.1\r\nHost: 127.0.0.1:{endpoints.HttpPort}\r\nConnection: close\r\n\r\n"), Cancelled);
        string answer = await new StreamReader(socket.GetStream()).ReadToEndAsync(Cancelled);
        Assert.Contains($"Location: {expected}\r\n", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_websocket_without_a_cookie_does_not_open()
    {
        foreach (string path in new[] { "/series/live?run=a", "/_blazor" })
        {
            using var socket = new ClientWebSocket();
            socket.Options.SetRequestHeader("Origin", endpoints.Http);
            await Assert.ThrowsAsync<WebSocketException>(
                () => socket.ConnectAsync(new Uri($"ws://127.0.0.1:{endpoints.HttpPort}{path}"), Cancelled));
        }
    }

    [Fact]
    public async Task Grpc_asks_too_and_says_so_in_its_own_status()
    {
        foreach (string token in new[] { "", "wrong", key.CookieValue })
        {
            using var channel = TokenChannel.To(endpoints.Grpc, token);
            var refused =
                await Refused(
                    new OpsService.OpsServiceClient(channel).GetVersionAsync(new GetVersionRequest(), cancellationToken: Cancelled));
            Assert.Equal(StatusCode.Unauthenticated, refused.StatusCode);
            Assert.Contains("--data-dir", refused.Status.Detail, StringComparison.Ordinal);
            var report =
                await Refused(
                    new WorkerService.WorkerServiceClient(channel).RegisterAsync(Registration(Agent), cancellationToken: Cancelled));
            Assert.Equal(StatusCode.Unauthenticated, report.StatusCode);
        }
    }

    [Fact]
    public async Task People_do_not_report_and_agents_do_not_command()
    {
        using var people = TokenChannel.To(endpoints.Grpc, key.PeoplesToken);
        var report =
            await Refused(new WorkerService.WorkerServiceClient(people).RegisterAsync(Registration(Agent), cancellationToken: Cancelled));
        Assert.Equal(StatusCode.PermissionDenied, report.StatusCode);
        using var agent = TokenChannel.To(endpoints.Grpc, key.AgentToken(Agent));
        var command =
            await Refused(
                new OpsService.OpsServiceClient(agent).CancelRunAsync(new RunCommand { Name = "mini" }, cancellationToken: Cancelled));
        Assert.Equal(StatusCode.PermissionDenied, command.StatusCode);
    }

    [Fact]
    public async Task Where_agents_of_other_machines_report_nobody_else_is_answered()
    {
        string there = $"https://{endpoints.Agents}";
        using var agent = TokenChannel.To(there, key.AgentToken(Agent), host.Pin);
        var reply = await new WorkerService.WorkerServiceClient(agent).RegisterAsync(Registration(Agent), cancellationToken: Cancelled);
        Assert.NotNull(reply.Order.Continue);
        foreach (string token in new[] { key.PeoplesToken, key.AgentToken(Agent), "" })
        {
            using var channel = TokenChannel.To(there, token, host.Pin);
            var ops = new OpsService.OpsServiceClient(channel);
            var refused = await Refused(ops.GetVersionAsync(new GetVersionRequest(), cancellationToken: Cancelled));
            Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
        }

        using var pages = new HttpClient(TokenChannel.Pinned(host.Pin));
        foreach (string page in new[] { "/", $"/?code={key.PageCode}", "/control-plane.json", "/openapi.json", "/v1/runs" })
        {
            using var ask = new HttpRequestMessage(HttpMethod.Get, new Uri(there + page))
            {
                Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            };
            ask.Headers.Authorization = new("Bearer", key.PeoplesToken);
            using var answer = await pages.SendAsync(ask, Cancelled);
            Assert.True(answer.StatusCode == HttpStatusCode.Forbidden, $"{page}: {answer.StatusCode}");
        }
    }

    [Fact]
    public async Task An_agent_speaks_for_its_own_gang_and_node_alone()
    {
        using var channel = TokenChannel.To(endpoints.Grpc, key.AgentToken(Agent));
        var client = new WorkerService.WorkerServiceClient(channel);
        // Nobody asked for this stage: the agent itself is let in, and may have been started from another database, so it goes on.
        Assert.NotNull((await client.RegisterAsync(Registration(Agent), cancellationToken: Cancelled)).Order.Continue);
        AgentClaims[] others =
        [
            Agent with { Gang = new GangId(new StageId("mini", "extend"), 3) },
            Agent with { Gang = new GangId(new StageId("other", "pretrain"), 3) },
            Agent with { Gang = Agent.Gang with { Number = 2 } },
            Agent with { Node = new NodeId("node-1") },
        ];
        foreach (var other in others)
        {
            string what = other.ToString();
            var refused = await Refused(client.RegisterAsync(Registration(other), cancellationToken: Cancelled));
            Assert.True(refused.StatusCode == StatusCode.PermissionDenied, what);
            var beat = new HeartbeatRequest { Node = other.Node.Name, AgentId = "a", Attempt = Attempt(other), Sequence = 1 };
            Assert.True(
                (await Refused(client.HeartbeatAsync(beat, cancellationToken: Cancelled))).StatusCode == StatusCode.PermissionDenied, what);
            var batch = new LogBatch { Node = other.Node.Name, Attempt = Attempt(other) };
            Assert.True(
                (await Refused(client.ReportLogsAsync(batch, cancellationToken: Cancelled))).StatusCode == StatusCode.PermissionDenied,
                what);
        }
    }

    [Fact]
    public async Task An_agent_may_tell_steps_of_attempts_before_its_gang_and_nothing_else_of_them_nor_of_later_ones()
    {
        var later = Agent with { Gang = Agent.Gang with { Number = 3 } };
        using var channel = TokenChannel.To(endpoints.Grpc, key.AgentToken(later));
        var client = new WorkerService.WorkerServiceClient(channel);
        HeartbeatRequest Beat() => new() { Node = later.Node.Name, AgentId = "a", Attempt = Attempt(later), Sequence = 1 };
        var at = Google.Protobuf.WellKnownTypes.Timestamp.FromDateTimeOffset(DateTimeOffset.UnixEpoch);
        var earlier = Beat();
        earlier.Samples.Add(new StepSample { Attempt = 1, Step = 7, Loss = 1, At = at });
        Assert.NotNull((await client.HeartbeatAsync(earlier, cancellationToken: Cancelled)).Order.Continue);
        var unborn = Beat();
        unborn.Samples.Add(new StepSample { Attempt = 4, Step = 7, Loss = 1, At = at });
        var checkpoint = Beat();
        checkpoint.Checkpoints.Add(new CheckpointReport { Attempt = 1, Step = 7, Path = "mini/pretrain/step-00000007", At = at });
        var evaluation = Beat();
        evaluation.Evaluations.Add(new EvaluationReport { Attempt = 1, Step = 7, Name = "heldout", At = at });
        foreach (var refused in new[] { unborn, checkpoint, evaluation })
        {
            Assert.Equal(StatusCode.PermissionDenied,
                (await Refused(client.HeartbeatAsync(refused, cancellationToken: Cancelled))).StatusCode);
        }
    }

    [Fact]
    public async Task Pages_run_no_script_but_their_own_and_stand_in_no_other_page()
    {
        using var answer = await Get("/", key.PeoplesToken);
        string page = await answer.Content.ReadAsStringAsync(Cancelled);
        string policy = Assert.Single(answer.Headers.GetValues("Content-Security-Policy"));
        string nonce = policy.Split("'nonce-")[1].Split('\'')[0];
        Assert.Contains("script-src 'self' 'nonce-", policy, StringComparison.Ordinal);
        Assert.Contains("frame-ancestors 'self'", policy, StringComparison.Ordinal);
        // Pages write a plus as a character reference, others do not.
        Assert.Contains($"nonce=\"{nonce}\"", WebUtility.HtmlDecode(page), StringComparison.Ordinal);
        Assert.DoesNotContain(nonce, await (await Get("/", key.PeoplesToken)).Content.ReadAsStringAsync(Cancelled),
            StringComparison.Ordinal);
        foreach (string path in new[] { "/", "/v1/version", "/v1/no-such-call", "/healthz", "/_framework/blazor.web.js" })
        {
            using var any = await Get(path, key.PeoplesToken);
            Assert.Equal("nosniff", Assert.Single(any.Headers.GetValues("X-Content-Type-Options")));
            Assert.Equal("same-origin", Assert.Single(any.Headers.GetValues("Referrer-Policy")));
        }
    }

    [Fact]
    public void Nothing_listens_but_the_pages_and_grpc()
    {
        string[] listening = [.. File.ReadLines("/proc/self/net/tcp").Concat(File.ReadLines("/proc/self/net/tcp6"))
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(columns => columns[3] == "0A")
            .Select(columns => columns[1])];
        string Port(int port) => $":{port.ToString("X4", CultureInfo.InvariantCulture)}";
        Assert.Contains(listening, address => address.EndsWith(Port(endpoints.HttpPort), StringComparison.Ordinal));
        Assert.Contains(listening, address => address.EndsWith(Port(endpoints.GrpcPort), StringComparison.Ordinal));
        Assert.DoesNotContain(listening, address => address.EndsWith(Port(endpoints.SiloPort), StringComparison.Ordinal));
    }

    private static RegisterRequest Registration(AgentClaims agent) =>
        new() { Protocol = 1, Node = agent.Node.Name, AgentId = "a", Attempt = Attempt(agent) };

    private static AttemptRef Attempt(AgentClaims agent) =>
        new() { Run = agent.Gang.Stage.Run, Stage = agent.Gang.Stage.Stage, Attempt = agent.Gang.Number };

    private static async Task<RpcException> Refused<T>(AsyncUnaryCall<T> call)
    {
        using (call)
        {
            return await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync);
        }
    }

    private Task<HttpResponseMessage> Get(string path, string? token)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (token is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        }
        return http.SendAsync(request, Cancelled);
    }

    private Task<HttpResponseMessage> WithCookie(HttpMethod method, string path, string cookie, string? origin)
    {
        var request = new HttpRequestMessage(method, path);
        request.Headers.Add("Cookie", cookie);
        if (method == HttpMethod.Post)
        {
            request.Content = new StringContent("{}", Encoding.UTF8, "application/json");
        }
        if (origin is not null)
        {
            request.Headers.Add("Origin", origin);
        }
        return http.SendAsync(request, Cancelled);
    }

    /// <summary>One control plane for all of them: whom it lets in leaves nothing behind.</summary>
    public sealed class Host : IAsyncLifetime
    {
        private readonly string folder = Directory.CreateTempSubdirectory("dsops-access-").FullName;
        private WebApplication app = null!;

        public const string PublicName = "ops.example.com";

        internal HttpClient Http { get; } = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false });

        internal Endpoints Endpoints { get; private set; } = null!;

        internal AccessKey Key { get; private set; } = null!;

        /// <summary>Of the key that agents' port shows.</summary>
        internal string Pin { get; private set; } = "";

        /// <summary>PEM file with who signed the certificate for people.</summary>
        internal string Ca => Path.Combine(folder, "ca.crt");

        public async ValueTask InitializeAsync()
        {
            using var authority = new Authority();
            using var certificate = authority.Sign($"{PublicName},localhost");
            await File.WriteAllTextAsync(Ca, authority.Pem);
            var (file, secret) = Authority.Write(folder, certificate);
            int https = LoopbackPort.Reserve();
            var options = new ControlPlaneOptions
            {
                DataDirectory = folder, Port = 0, Cluster = new LocalChoice { Nodes = 1 },
                Agents = new IPEndPoint(IPAddress.Loopback, LoopbackPort.Reserve()),
                Https = new IPEndPoint(IPAddress.Loopback, https),
                PublicUrls = [new Uri($"https://{PublicName}:{https}"), new Uri($"https://localhost:{https}")],
                Certificate = new PemFiles(file, secret, [PublicName, "localhost"]),
            };
            Endpoints = Endpoints.Choose(options);
            var database = OpsDatabase.Parse(null, folder);
            await StorageHosting.Prepare(database, CancellationToken.None);
            var doors = await TlsDoors.Open(options, KeyFile.Of(options), CancellationToken.None);
            Pin = doors.Pin;
            app = ControlPlaneApp.Build(options, Endpoints, database, logging => logging.ClearProviders(), doors: doors);
            await app.StartAsync();
            Key = app.Services.GetRequiredService<AccessKey>();
            Http.BaseAddress = new Uri(Endpoints.Http);
        }

        public async ValueTask DisposeAsync()
        {
            Http.Dispose();
            await app.StopAsync();
            await app.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }
}
