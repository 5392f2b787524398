using System.Net;
using System.Text;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Api.Calls;
using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Tests.Api.Telemetry;
using DeepSeekOps.Decisions.Simulation;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.People;

/// <summary>API tokens over the real ports of one control plane with a run of each of two teams. Costs three seconds of a core.</summary>
public sealed partial class PeopleTests(PeopleTests.Host host) : IClassFixture<PeopleTests.Host>
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_viewer_looks_an_operator_acts_and_neither_makes_tokens()
    {
        using var viewer = await host.As("viewer", "");
        using var acting = await host.As("operator", "");
        Assert.Equal(2, (await viewer.Ops.ListRunsAsync(new ListRunsRequest { Search = "of-" }, cancellationToken: Cancelled)).Runs.Count);
        string refused = await Denied(viewer.Ops.CancelRunAsync(new RunCommand { Name = "of-beta" }, cancellationToken: Cancelled));
        Assert.Contains("cancel-run needs the role operator", refused, StringComparison.Ordinal);
        Assert.Contains("viewer of every team", refused, StringComparison.Ordinal);
        Assert.Contains("dsops tokens create NAME --role operator", refused, StringComparison.Ordinal);
        await Denied(viewer.Ops.SubmitRunAsync(new SubmitRunRequest { Text = "name: x" }, cancellationToken: Cancelled));
        await acting.Ops.CordonNodeAsync(new NodeCommand { Name = "node-0000" }, cancellationToken: Cancelled);
        await acting.Ops.UncordonNodeAsync(new NodeCommand { Name = "node-0000" }, cancellationToken: Cancelled);
        await Denied(acting.Ops.CreateTokenAsync(new CreateTokenRequest { Name = "x", Role = "viewer" }, cancellationToken: Cancelled));
        await Denied(acting.Ops.DrillAsync(new DrillRequest { Run = "of-beta", Fault = "hang" }, cancellationToken: Cancelled));

        var lines = (await host.Owner.ListAuditAsync(new ListAuditRequest { Run = "of-beta" }, cancellationToken: Cancelled)).Lines;
        Assert.Contains(lines, l => l.Act == "cancel-run" && l.Who == viewer.Name && l.By == $"token {viewer.Name} (viewer of every team)"
            && l.Outcome.StartsWith("refused: cancel-run needs", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_token_of_a_team_reaches_its_runs_and_no_others_by_any_door()
    {
        using var alpha = await host.As("admin", "alpha");
        Assert.Equal("of-alpha", (await alpha.Ops.GetRunAsync(new GetRunRequest { Name = "of-alpha" }, cancellationToken: Cancelled)).Name);
        var list = await alpha.Ops.ListRunsAsync(new ListRunsRequest { Search = "team:beta of-" }, cancellationToken: Cancelled);
        Assert.Equal((0, 1), (list.Runs.Count, list.All));
        var own = await alpha.Ops.ListRunsAsync(new ListRunsRequest(), cancellationToken: Cancelled);
        Assert.Equal(["of-alpha"], own.Runs.Select(r => r.Name));
        string others = await Denied(alpha.Ops.GetRunAsync(new GetRunRequest { Name = "of-beta" }, cancellationToken: Cancelled));
        string nobodys = await Denied(alpha.Ops.GetRunAsync(new GetRunRequest { Name = "of-nobody" }, cancellationToken: Cancelled));
        Assert.Equal(nobodys, others.Replace("of-beta", "of-nobody", StringComparison.Ordinal));
        await Denied(alpha.Ops.CancelRunAsync(new RunCommand { Name = "of-beta" }, cancellationToken: Cancelled));
        await Denied(alpha.Ops.GetLogsAsync(new GetLogsRequest { Run = "of-beta" }, cancellationToken: Cancelled));
        await Denied(alpha.Ops.CordonNodeAsync(new NodeCommand { Name = "node-0000" }, cancellationToken: Cancelled));
        await Denied(alpha.Ops.ListAuditAsync(new ListAuditRequest(), cancellationToken: Cancelled));
        await Denied(alpha.Ops.SubmitRunAsync(new SubmitRunRequest { Text = Host.Pipeline("sly", "beta") }, cancellationToken: Cancelled));
        await Denied(alpha.Ops.CreateTokenAsync(new CreateTokenRequest { Name = "x", Role = "viewer" }, cancellationToken: Cancelled));
        await Denied(alpha.Ops.CreateTokenAsync(
            new CreateTokenRequest { Name = "x", Role = "viewer", Team = "beta" }, cancellationToken: Cancelled));

        foreach (string path in new[]
        {
            "/v1/runs/of-beta", "/v1/runs/of-beta/logs", "/series/buckets?run=of-beta&stage=a&name=loss",
            "/series/sparks?of=of-alpha/a,of-beta/a&name=loss",
            "/series/export.csv?run=of-beta&stage=a", "/Series/live?RUN=of-beta", "/series/trace.json?run=of-beta", "/v1/audit:verify",
        })
        {
            using var answer = await host.Get(path, alpha.Text);
            Assert.True(answer.StatusCode == HttpStatusCode.Forbidden, $"{path}: {answer.StatusCode}");
        }

        using var good = await host.Get("/v1/runs/of-alpha", alpha.Text);
        Assert.Equal(HttpStatusCode.OK, good.StatusCode);
    }

    [Fact]
    public async Task A_page_is_of_who_opened_it_until_the_token_is_revoked()
    {
        using var alpha = await host.As("viewer", "alpha");
        using var wrong = await host.SignIn(alpha.Text + "x", host.Endpoints.Http);
        Assert.Equal(HttpStatusCode.Unauthorized, wrong.StatusCode);
        using var foreign = await host.SignIn(alpha.Text, "http://127.0.0.1:1");
        Assert.Equal(HttpStatusCode.Forbidden, foreign.StatusCode);
        using var without = await host.SignIn(alpha.Text, origin: null);
        Assert.Equal(HttpStatusCode.Forbidden, without.StatusCode);
        using var answer = await host.SignIn(alpha.Text, host.Endpoints.Http);
        Assert.Equal(HttpStatusCode.SeeOther, answer.StatusCode);
        string cookie = Assert.Single(answer.Headers.GetValues("Set-Cookie"));
        Assert.Contains("httponly", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(alpha.Text, cookie, StringComparison.Ordinal);

        string page = await host.Page("/audit?run=of-alpha", cookie.Split(';')[0]);
        Assert.Contains("submit-run", page, StringComparison.Ordinal);
        Assert.Contains("is of another team", await host.Page("/audit?run=of-beta", cookie.Split(';')[0]), StringComparison.Ordinal);
        Assert.Contains("of every team", await host.Page("/audit", cookie.Split(';')[0]), StringComparison.Ordinal);

        await host.Owner.RevokeTokenAsync(new RevokeTokenRequest { Id = alpha.Id }, cancellationToken: Cancelled);
        string gone = await host.Page("/audit?run=of-alpha", cookie.Split(';')[0]);
        Assert.Contains("was revoked", gone, StringComparison.Ordinal);
        Assert.DoesNotContain("submit-run", gone, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_that_is_wrong_expired_or_revoked_opens_nothing_and_who_held_it_is_told_why()
    {
        using var soon = await host.As("admin", "", TimeSpan.FromMilliseconds(1));
        var expired = await Assert.ThrowsAsync<RpcException>(
            () => soon.Ops.ListRunsAsync(new ListRunsRequest(), cancellationToken: Cancelled).ResponseAsync);
        Assert.Equal(StatusCode.Unauthenticated, expired.StatusCode);
        Assert.Contains("expired on", expired.Status.Detail, StringComparison.Ordinal);
        using var revoked = await host.As("admin", "");
        await revoked.Ops.RevokeTokenAsync(new RevokeTokenRequest { Id = revoked.Id }, cancellationToken: Cancelled);
        var ended = await Assert.ThrowsAsync<RpcException>(
            () => revoked.Ops.ListRunsAsync(new ListRunsRequest(), cancellationToken: Cancelled).ResponseAsync);
        Assert.Contains("was revoked", ended.Status.Detail, StringComparison.Ordinal);
        using var good = await host.As("viewer", "");
        string others = good.Text.Replace(good.Id, revoked.Id, StringComparison.Ordinal);
        foreach (string text in new[] { good.Text[..^2], good.Text + "A", others, "dsops_x_y" })
        {
            using var answer = await host.Get("/v1/runs", text);
            Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
            Assert.DoesNotContain("revoked", await answer.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
        }

        // Whoever may not be the house does not speak for others.
        using var sly = new HttpRequestMessage(HttpMethod.Get, "/v1/tokens");
        sly.Headers.Add("dsops-on-behalf", "");
        sly.Headers.Authorization = new("Bearer", good.Text);
        Assert.Equal(HttpStatusCode.Forbidden, (await host.Http.SendAsync(sly, Cancelled)).StatusCode);
    }

    [Fact]
    public async Task No_token_stands_in_the_database_the_list_or_the_audit_log()
    {
        using var made = await host.As("viewer", "");
        string secret = made.Text.Split('_')[2];
        var list = await host.Owner.ListTokensAsync(new ListTokensRequest(), cancellationToken: Cancelled);
        Assert.Contains(list.Tokens, t => t.Id == made.Id && t.State == "live");
        Assert.DoesNotContain(secret, list.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(secret,
            (await host.Owner.ListAuditAsync(new ListAuditRequest(), cancellationToken: Cancelled)).ToString(), StringComparison.Ordinal);
        foreach (string file in Directory.GetFiles(host.Folder, "dsops.db*"))
        {
            await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var bytes = new MemoryStream();
            await stream.CopyToAsync(bytes, Cancelled);
            Assert.Equal(-1, bytes.ToArray().AsSpan().IndexOf(Encoding.UTF8.GetBytes(secret)));
        }
    }

    [Fact]
    public async Task The_first_admin_is_made_by_a_code_that_is_good_once_and_only_while_there_is_none()
    {
        await host.NoAdmin();
        var calls = host.Services.GetRequiredService<TokenCalls>();
        string code = (await calls.FirstAdminsCode(Cancelled))!;
        string another = (await calls.FirstAdminsCode(Cancelled))!;
        using var channel = TokenChannel.To(host.Endpoints.Grpc, code);
        var ops = new OpsService.OpsServiceClient(channel);
        string refused = await Denied(ops.ListRunsAsync(new ListRunsRequest(), cancellationToken: Cancelled));
        Assert.Contains("one-time code", refused, StringComparison.Ordinal);
        var limited = new CreateTokenRequest { Name = "ann", Role = "admin", Team = "alpha" };
        await Assert.ThrowsAsync<RpcException>(() => ops.CreateTokenAsync(limited, cancellationToken: Cancelled).ResponseAsync);
        var ann = await ops.CreateTokenAsync(new CreateTokenRequest { Name = "ann", Role = "admin" }, cancellationToken: Cancelled);
        Assert.Equal("admin", ann.Token.Role);
        var used = await Assert.ThrowsAsync<RpcException>(() => ops.CreateTokenAsync(
            new CreateTokenRequest { Name = "bob", Role = "admin" }, cancellationToken: Cancelled).ResponseAsync);
        Assert.Equal(StatusCode.Unauthenticated, used.StatusCode);
        using var second = TokenChannel.To(host.Endpoints.Grpc, another);
        Assert.Contains("There is an admin already", await Denied(new OpsService.OpsServiceClient(second).CreateTokenAsync(
            new CreateTokenRequest { Name = "bob", Role = "admin" }, cancellationToken: Cancelled)), StringComparison.Ordinal);
        Assert.Null(await calls.FirstAdminsCode(Cancelled));
    }

    private static async Task<string> Denied<T>(AsyncUnaryCall<T> call)
    {
        using (call)
        {
            var refused = await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync);
            Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
            return refused.Status.Detail;
        }
    }

    internal sealed record Somebody(string Name, string Id, string Text, GrpcChannel Channel) : IDisposable
    {
        public OpsService.OpsServiceClient Ops { get; } = new(Channel);

        public void Dispose() => Channel.Dispose();
    }

    public sealed class Host : IAsyncLifetime
    {
        private WebApplication app = null!;
        private GrpcChannel owner = null!;
        private readonly CancellationTokenSource stopping = new();
        private int made;

        internal string Folder { get; } = Directory.CreateTempSubdirectory("dsops-people-").FullName;

        internal HttpClient Http { get; } = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false });

        internal Endpoints Endpoints { get; private set; } = null!;

        internal OpsService.OpsServiceClient Owner { get; private set; } = null!;

        internal IServiceProvider Services => app.Services;

        public async ValueTask InitializeAsync()
        {
            var options = new ControlPlaneOptions
            {
                DataDirectory = Folder, Port = 0, Cluster = new SimulatedChoice { Nodes = 2, Faults = FaultMix.None, TimeFactor = 20 },
            };
            Endpoints = Endpoints.Choose(options with { Monitoring = new IPEndPoint(IPAddress.Loopback, LoopbackPort.Free()) });
            var database = OpsDatabase.Parse(null, Folder);
            await StorageHosting.Prepare(database, CancellationToken.None);
            app = ControlPlaneApp.Build(options, Endpoints, database, logging => logging.ClearProviders());
            await app.StartAsync();
            Http.BaseAddress = new Uri(Endpoints.Http);
            owner = TokenChannel.To(Endpoints.Grpc, app.Services.GetRequiredService<AccessKey>().PeoplesToken);
            Owner = new OpsService.OpsServiceClient(owner);
            foreach (string team in new[] { "alpha", "beta" })
            {
                await Owner.SubmitRunAsync(new SubmitRunRequest { Text = Pipeline($"of-{team}", team) });
            }

            // Written into the list of runs by a tick.
            using var look = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
            while ((await Owner.ListRunsAsync(new ListRunsRequest())).Runs.Count < 2)
            {
                await look.WaitForNextTickAsync();
            }

            // Begun now, so that a run which is over before anybody asks was seen while it trained.
            Trained = UntilItTrains();
        }

        /// <summary>A scrape with steps and all that comes with them.</summary>
        internal Task<string> Trained { get; private set; } = null!;

        internal async Task<string> Scrape()
        {
            using var answer = await Get("/metrics", app.Services.GetRequiredService<AccessKey>().PeoplesToken);
            return await answer.Content.ReadAsStringAsync(stopping.Token);
        }

        private async Task<string> UntilItTrains()
        {
            using var look = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
            while (true)
            {
                string text = await Scrape();
                var scraped = Scraped.Parse(text);
                if (scraped.Of("dsops_stage_steps_per_second").Any() && scraped.Of("dsops_stage_loss").Any()
                    && scraped.Of("dsops_http_requests_total").Any(s => s.Labels["route"] == "/metrics"))
                {
                    return text;
                }

                await look.WaitForNextTickAsync(stopping.Token);
            }
        }

        internal static string Pipeline(string name, string team) => Pipelines.Examples.Mini
            .Replace("\nname: mini\n", $"\nname: {name}\n", StringComparison.Ordinal)
            .Replace("\nteam: research\n", $"\nteam: {team}\n", StringComparison.Ordinal);

        internal async Task<Somebody> As(string role, string team, TimeSpan? life = null)
        {
            string name = $"somebody-{Interlocked.Increment(ref made)}";
            var request = new CreateTokenRequest { Name = name, Role = role, Team = team };
            if (life is { } span)
            {
                request.Lasting = Duration.FromTimeSpan(span);
            }

            var reply = await Owner.CreateTokenAsync(request, cancellationToken: Cancelled);
            return new Somebody(name, reply.Token.Id, reply.Text, TokenChannel.To(Endpoints.Grpc, reply.Text));
        }

        internal async Task NoAdmin()
        {
            foreach (var token in (await Owner.ListTokensAsync(new ListTokensRequest(), cancellationToken: Cancelled)).Tokens)
            {
                await Owner.RevokeTokenAsync(new RevokeTokenRequest { Id = token.Id }, cancellationToken: Cancelled);
            }
        }

        internal Task<HttpResponseMessage> Get(string path, string token)
        {
            var request = new HttpRequestMessage(HttpMethod.Get, path);
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
            return Http.SendAsync(request, stopping.Token);
        }

        internal Task<HttpResponseMessage> SignIn(string token, string? origin)
        {
            var request = new HttpRequestMessage(HttpMethod.Post, "/sign-in")
            {
                Content = new FormUrlEncodedContent([KeyValuePair.Create("token", token)]),
            };
            if (origin is not null)
            {
                request.Headers.Add("Origin", origin);
            }

            return Http.SendAsync(request, Cancelled);
        }

        internal async Task<string> Page(string path, string cookie)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            request.Headers.Add("Cookie", cookie);
            request.Headers.Add("Accept", "text/html");
            using var answer = await Http.SendAsync(request, Cancelled);
            return WebUtility.HtmlDecode(await answer.Content.ReadAsStringAsync(Cancelled));
        }

        public async ValueTask DisposeAsync()
        {
            await stopping.CancelAsync();
            await Task.WhenAny(Trained);
            stopping.Dispose();
            Http.Dispose();
            owner.Dispose();
            await app.StopAsync();
            await app.DisposeAsync();
            SqliteConnection.ClearAllPools();
            Directory.Delete(Folder, recursive: true);
        }
    }
}
