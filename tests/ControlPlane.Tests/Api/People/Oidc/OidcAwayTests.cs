using System.Net;
using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Simulation;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.People.Oidc;

/// <summary>A start while the provider is away, on this machine alone; it comes back, wrong and then right. Some seven seconds.</summary>
public sealed class OidcAwayTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_start_needs_no_provider_and_whoever_mends_it_needs_no_restart()
    {
        string folder = Directory.CreateTempSubdirectory("dsops-oidc-away-").FullName;
        await using var provider = await TestProvider.Start();
        (provider.Away, provider.Claims) = (true, OidcHost.Person("ann", "everyone"));
        var options = new ControlPlaneOptions
        {
            DataDirectory = folder, Port = 0, Cluster = new SimulatedChoice { Nodes = 1, Faults = FaultMix.None },
            Oidc = OidcHost.Settings(provider.Issuer),
        };
        var endpoints = Endpoints.Choose(options);
        var database = OpsDatabase.Parse(null, folder);
        await StorageHosting.Prepare(database, Cancelled);
        await using var app = ControlPlaneApp.Build(options, endpoints, database, logging => logging.ClearProviders());
        await app.StartAsync(Cancelled);
        using var browser = new OidcHost.TestBrowser(endpoints.Http, new SocketsHttpHandler());
        var away = await browser.Get("/sign-in/start");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, away.Status);
        Assert.Contains("gives no usable answer, so nobody can sign in by it now; who is signed in goes on", away.Text,
            StringComparison.Ordinal);
        var shown = await browser.Get("/v1/runs", request => request.Headers.TryAddWithoutValidation(
            "Authorization", $"Bearer {provider.Token(OidcHost.Person("ann", "everyone"))}"));
        Assert.Equal(HttpStatusCode.Unauthorized, shown.Status);
        Assert.Contains("Sign in with 127.0.0.1", shown.Text, StringComparison.Ordinal);

        (provider.Away, provider.CallsItself) = (false, "https://evil.example.com");
        var wrong = await Until(browser, seen => seen.Text.Contains("calls itself", StringComparison.Ordinal));
        Assert.Contains("calls itself 'https://evil.example.com'", wrong.Text, StringComparison.Ordinal);
        Assert.Empty(provider.Asked);
        provider.CallsItself = null;
        var right = await Until(browser, seen => seen.Status == HttpStatusCode.OK);
        Assert.Contains("ann@example.com", right.Text, StringComparison.Ordinal);
        await app.StopAsync(Cancelled);
        Directory.Delete(folder, recursive: true);
    }

    private static async Task<OidcHost.Seen> Until(OidcHost.TestBrowser browser, Func<OidcHost.Seen, bool> seen)
    {
        using var again = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        while (true)
        {
            var page = await browser.Follow("/sign-in/start");
            if (seen(page))
            {
                return page;
            }

            await again.WaitForNextTickAsync(Cancelled);
        }
    }
}
