using System.Text;
using DeepSeekOps.ControlPlane.Tests.Storage;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.People.Oidc;

/// <summary>A test of people of OIDC: each begins and ends with a provider that does nothing unusual.</summary>
[Collection(nameof(OidcHost))]
public abstract class OidcTest : IDisposable
{
    private readonly PrivatePostgres postgres;

    protected OidcTest(OidcHost host, PrivatePostgres postgres)
    {
        (Host, this.postgres) = (host, postgres);
        Provider.Reset();
    }

    public static TheoryData<DatabaseKind> Databases => [DatabaseKind.Sqlite, DatabaseKind.Postgres];

    /// <summary>On SQLite: what it stores is tested on both (<see cref="On"/>), and the rest is the same on either.</summary>
    private protected OidcHost Host { get; }

    private protected TestProvider Provider => Host.Provider;

    private protected static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        Provider.Reset();
        GC.SuppressFinalize(this);
    }

    private protected Task<OidcHost> On(DatabaseKind kind) => kind == DatabaseKind.Sqlite ? Task.FromResult(Host) : Host.On(postgres);

    private protected static async Task<HttpResponseMessage> Post(
        OidcHost.TestBrowser browser, string path, string? origin = "own", string body = "{}") =>
        (await browser.Send(HttpMethod.Post, path, new StringContent(body, Encoding.UTF8, "application/json"), request =>
        {
            if (origin is not null)
            {
                request.Headers.Add("Origin", origin == "own" ? browser.Pages : origin);
            }
        })).Answer;
}
