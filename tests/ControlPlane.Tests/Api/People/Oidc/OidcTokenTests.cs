using System.Net;
using DeepSeekOps.Contracts.Ops.V1;
using Grpc.Core;
using DeepSeekOps.ControlPlane.Tests.Storage;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.People.Oidc;

/// <summary>Programs that show a token of the provider, and what they are told.</summary>
public sealed class OidcTokenTests(OidcHost host, PrivatePostgres postgres) : OidcTest(host, postgres)
{
    [Fact]
    public async Task A_token_of_the_provider_is_its_persons_by_gRPC_and_REST()
    {
        string token = Provider.Token(OidcHost.Person("tom", "alpha-ops"));
        using var channel = TokenChannel.To(Host.Endpoints.Grpc, token);
        var ops = new OpsService.OpsServiceClient(channel);
        Assert.Equal(["of-alpha"], (await ops.ListRunsAsync(new ListRunsRequest(), cancellationToken: Cancelled)).Runs.Select(r => r.Name));
        var others = await Assert.ThrowsAsync<RpcException>(
            () => ops.CancelRunAsync(new RunCommand { Name = "of-beta" }, cancellationToken: Cancelled).ResponseAsync);
        Assert.Equal(StatusCode.PermissionDenied, others.StatusCode);
        var line = (await Host.Acts("cancel-run"))[0];
        Assert.Equal(("tom@example.com", $"sign-in of tom@example.com (operator of team alpha; tom at {Provider.Issuer})"),
            (line.Who, line.By));
        Assert.Equal(HttpStatusCode.OK, (await Get(token)).Status);
    }

    [Fact]
    public async Task Who_has_no_role_here_is_refused_with_who_he_is_and_not_asked_who_he_is()
    {
        var (status, told) = await Get(Provider.Token(OidcHost.Person("ulf", "canteen")));
        Assert.Equal(HttpStatusCode.Forbidden, status);
        Assert.Contains("You are ulf@example.com", told, StringComparison.Ordinal);
        Assert.Contains("Ask an admin of this control plane to map one", told, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("expired", "expired on")]
    [InlineData("not yet valid", "the clock there or here is wrong")]
    [InlineData("no end", "has no end")]
    [InlineData("too old", "older than a sign-in lasts here (8 h)")]
    [InlineData("no beginning", "older than a sign-in lasts")]
    [InlineData("audience", "made for somebody else than dsops-test")]
    [InlineData("issuer", "another issuer")]
    [InlineData("key", "does not show")]
    [InlineData("none", "has signed")]
    [InlineData("secret", "")]
    [InlineData("nobody", "names nobody")]
    [InlineData("logout", "neither an ID token")]
    [InlineData("noise", "has signed")]
    public async Task A_token_that_is_not_good_opens_nothing_and_says_why(string which, string words)
    {
        long now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        var right = Provider.Keys[0];
        var said = OidcHost.Person("eve", "platform");
        foreach (var (name, value) in new (string, object)[]
        {
            ("iss", Provider.Issuer), ("aud", TestProvider.Client), ("iat", now), ("exp", now + 300),
        })
        {
            said[name] = value;
        }

        Assert.Equal(HttpStatusCode.OK, (await Get(right.Sign(said))).Status);
        Action change = which switch
        {
            "expired" => () => said["exp"] = now - 120,
            "not yet valid" => () => said["nbf"] = now + 120,
            "no end" => () => said.Remove("exp"),
            "too old" => () => said["iat"] = now - 30_000,
            "no beginning" => () => said.Remove("iat"),
            "audience" => () => said["aud"] = "somebody-else",
            "issuer" => () => said["iss"] = "https://evil.example.com",
            "nobody" => () => said.Remove("sub"),
            _ => () => said["iat"] = now,
        };
        change();
        string token = which switch
        {
            "key" => SigningKey.Rsa("elsewhere").Sign(said),
            "none" => right.AsNone().Sign(said),
            "secret" => right.AsSecret().Sign(said),
            "logout" => right.Sign(said, "logout+jwt"),
            "noise" => $"ey{new string('a', 2_000)}.ey.x",
            _ => right.Sign(said),
        };
        var (status, told) = await Get(token);
        Assert.Equal(HttpStatusCode.Unauthorized, status);
        Assert.Contains(words, told, StringComparison.Ordinal);
    }

    [Fact]
    public async Task While_the_provider_is_away_who_is_in_goes_on_and_who_comes_is_told()
    {
        using var browser = await Host.SignedIn("wanda", "everyone");
        Provider.Away = true;
        Assert.Equal(HttpStatusCode.OK, (await browser.Get("/audit?run=of-alpha")).Status);
        using var other = Host.Browser();
        var begun = await other.Follow("/sign-in/start");
        Assert.True(begun.Status is HttpStatusCode.ServiceUnavailable or HttpStatusCode.Unauthorized, $"{begun.Status}");
    }

    private async Task<(HttpStatusCode Status, string Text)> Get(string token)
    {
        using var http = new HttpClient();
        using var ask = new HttpRequestMessage(HttpMethod.Get, new Uri($"{Host.Endpoints.Http}/v1/runs"));
        ask.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        using var answer = await http.SendAsync(ask, Cancelled);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync(Cancelled));
    }
}
