using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Api.People.Oidc;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Hosting.Tls;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Tests.Hosting.Tls;
using DeepSeekOps.ControlPlane.Tests.Storage;
using DeepSeekOps.Decisions.People;
using DeepSeekOps.Decisions.Simulation;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.People.Oidc;

[CollectionDefinition(nameof(OidcHost))]
public sealed class OidcTestGroup : ICollectionFixture<OidcHost>;

/// <summary>A control plane as people reach it, by TLS, with a run of each of two teams, and the provider that it asks.</summary>
public sealed partial class OidcHost : IAsyncLifetime
{
    private readonly Lock beginning = new();
    private readonly string folder = Directory.CreateTempSubdirectory("dsops-oidc-").FullName;
    private WebApplication app = null!;
    private string? connection;
    private Task<OidcHost>? onPostgres;
    private GrpcChannel owner = null!;

    internal TestProvider Provider { get; private set; } = null!;

    internal Endpoints Endpoints { get; private set; } = null!;

    internal OpsService.OpsServiceClient Owner { get; private set; } = null!;

    internal string Pages => $"https://localhost:{Endpoints.Https!.Port}";

    internal IServiceProvider Services => app.Services;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Provider = await TestProvider.Start();
        using var authority = new Authority();
        using var certificate = authority.Sign("localhost");
        await File.WriteAllTextAsync(Path.Combine(folder, "ca.crt"), authority.Pem);
        var (file, secret) = Authority.Write(folder, certificate);
        int https = LoopbackPort.Reserve();
        var options = new ControlPlaneOptions
        {
            DataDirectory = folder, Port = 0, Cluster = new SimulatedChoice { Nodes = 2, Faults = FaultMix.None, TimeFactor = 20 },
            Https = new IPEndPoint(IPAddress.Loopback, https), PublicUrls = [new Uri($"https://localhost:{https}")],
            Certificate = new PemFiles(file, secret, ["localhost"]), Oidc = Settings(Provider.Issuer),
        };
        Endpoints = Endpoints.Choose(options);
        var database = OpsDatabase.Parse(connection, folder);
        await StorageHosting.Prepare(database, CancellationToken.None);
        var doors = await TlsDoors.Open(options, KeyFile.Of(options), CancellationToken.None);
        app = ControlPlaneApp.Build(options, Endpoints, database, logging => logging.ClearProviders(), doors: doors);
        await app.StartAsync();
        owner = TokenChannel.To(Endpoints.Grpc, app.Services.GetRequiredService<AccessKey>().PeoplesToken);
        Owner = new OpsService.OpsServiceClient(owner);
        foreach (string team in new[] { "alpha", "beta" })
        {
            await Owner.SubmitRunAsync(new SubmitRunRequest { Text = PeopleTests.Host.Pipeline($"of-{team}", team) });
        }

        // Written into the list of runs by a tick.
        using var look = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while ((await Owner.ListRunsAsync(new ListRunsRequest())).Runs.Count < 2)
        {
            await look.WaitForNextTickAsync();
        }
    }

    /// <summary>The same on a database of that server, begun by the first that asks.</summary>
    internal Task<OidcHost> On(PrivatePostgres postgres)
    {
        lock (beginning)
        {
            return onPostgres ??= Begin();
        }

        async Task<OidcHost> Begin()
        {
            var other = new OidcHost { connection = await postgres.CreateDatabase(CancellationToken.None) };
            await other.InitializeAsync();
            return other;
        }
    }

    internal static OidcSettings Settings(string issuer) => new(issuer, TestProvider.Client)
    {
        ClientSecret = TestProvider.ClientSecret,
        Grants = new Grants(
        [
            new Grant("platform", Role.Admin, ""), new Grant("alpha-ops", Role.Operator, "alpha"), new Grant("everyone", Role.Viewer, ""),
        ]),
    };

    /// <summary>One person's browser, with cookies of its own.</summary>
    internal TestBrowser Browser() => new(Pages, ServerTrust.Of(Path.Combine(folder, "ca.crt")).Handler());

    /// <summary>Signs in as the provider says, from the first page to the last.</summary>
    internal async Task<TestBrowser> SignedIn(string subject, params string[] groups)
    {
        Provider.Claims = Person(subject, groups);
        var browser = Browser();
        var page = await browser.Follow("/sign-in/start?to=%2Faudit");
        Assert.True(page.Status == HttpStatusCode.OK, page.Text);
        return browser;
    }

    internal static Dictionary<string, object> Person(string subject, params string[] groups) => new()
    {
        ["sub"] = subject, ["email"] = $"{subject}@example.com", ["name"] = $"{subject} of a test", ["groups"] = groups,
    };

    internal async Task<List<AuditLine>> Acts(string act) =>
        [.. (await Owner.ListAuditAsync(new ListAuditRequest(), cancellationToken: Cancelled)).Lines.Where(l => l.Act == act)];

    public async ValueTask DisposeAsync()
    {
        if (onPostgres is { IsCompletedSuccessfully: true } other)
        {
            await (await other).DisposeAsync();
        }

        owner.Dispose();
        await app.StopAsync();
        await app.DisposeAsync();
        await Provider.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    internal sealed record Seen(HttpStatusCode Status, string Address, string Text, HttpResponseMessage Answer);

    /// <summary>Keeps cookies and follows redirects and refreshes, as browsers do; addresses with its provider's name go there.</summary>
    internal sealed partial class TestBrowser(string pages, SocketsHttpHandler handler) : IDisposable
    {
        private readonly HttpClient http = Client(handler);

        public string Pages => pages;

        public CookieContainer Cookies => handler.CookieContainer;

        public List<string> SetCookies { get; } = [];

        public Task<Seen> Get(string address, Action<HttpRequestMessage>? change = null) => Send(HttpMethod.Get, address, null, change);

        public async Task<Seen> Send(HttpMethod method, string address, HttpContent? body, Action<HttpRequestMessage>? change = null)
        {
            using var request = new HttpRequestMessage(method, new Uri(new Uri(pages), address)) { Content = body };
            request.Headers.Add("Accept", "text/html");
            change?.Invoke(request);
            var answer = await http.SendAsync(request, Cancelled);
            SetCookies.AddRange(answer.Headers.TryGetValues("Set-Cookie", out var set) ? set : []);
            return new Seen(answer.StatusCode, request.RequestUri!.ToString(),
                WebUtility.HtmlDecode(await answer.Content.ReadAsStringAsync(Cancelled)), answer);
        }

        /// <param name="last">Stops before an address that begins so.</param>
        public async Task<Seen> Follow(string address, string? last = null)
        {
            for (int hop = 0; hop < 10; hop++)
            {
                var seen = await Get(address);
                string? next = seen.Answer.Headers.Location is { } location ? new Uri(new Uri(seen.Address), location).ToString()
                    : Refresh().Match(seen.Text) is { Success: true } refresh
                        ? new Uri(new Uri(seen.Address), refresh.Groups[1].Value).ToString() : null;
                if (next is null || (last is not null && next.StartsWith(last, StringComparison.Ordinal)))
                {
                    return seen with { Address = next ?? seen.Address };
                }

                address = next;
            }

            throw new InvalidOperationException($"{address}: a circle");
        }

        public void Dispose() => http.Dispose();

        private static HttpClient Client(SocketsHttpHandler handler)
        {
            (handler.AllowAutoRedirect, handler.UseCookies, handler.CookieContainer) = (false, true, new CookieContainer());
            return new HttpClient(handler);
        }

        [GeneratedRegex("http-equiv=\"refresh\" content=\"0;url=([^\"]*)\"")]
        private static partial Regex Refresh();
    }
}
