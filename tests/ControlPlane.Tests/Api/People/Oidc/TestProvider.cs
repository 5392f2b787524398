using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace DeepSeekOps.ControlPlane.Tests.Api.People.Oidc;

/// <summary>
/// An OIDC provider on loopback: discovery, keys, authorization code flow with PKCE, tokens. It does what is right until it is told to do
/// something else, and signs whoever is <see cref="Claims"/> in without asking.
/// </summary>
internal sealed class TestProvider : IAsyncDisposable
{
    public const string Client = "dsops-test";

    public const string ClientSecret = "the client's own secret";

    private readonly WebApplication app;
    private readonly ConcurrentDictionary<string, (string Challenge, string Nonce, string Back)> codes = new();
    private int made;

    private TestProvider(WebApplication app) => this.app = app;

    public string Issuer { get; private set; } = "";

    /// <summary>What the next token says beside issuer, audience, times and nonce.</summary>
    public Dictionary<string, object> Claims { get; set; } = [];

    /// <summary>Shown at the address of keys.</summary>
    public List<SigningKey> Keys { get; } = [SigningKey.Rsa("first")];

    /// <summary>Signs the next token. Null: the first of <see cref="Keys"/>.</summary>
    public SigningKey? Signer { get; set; }

    /// <summary>Changes what a token says, after all else. Null: nothing.</summary>
    public Action<Dictionary<string, object>>? Twist { get; set; }

    /// <summary>Makes the whole token. Null: as it should be.</summary>
    public Func<Dictionary<string, object>, string>? Forge { get; set; }

    /// <summary>What discovery calls itself. Null: its address.</summary>
    public string? CallsItself { get; set; }

    /// <summary>It answers 503 to everything.</summary>
    public bool Away { get; set; }

    /// <summary>Redirect URIs that are registered. Empty: any.</summary>
    public List<string> Registered { get; } = [];

    public int CodesRedeemed { get; private set; }

    /// <summary>The query of the newest sign-in that was asked for.</summary>
    public IQueryCollection Asked { get; private set; } = QueryCollection.Empty;

    public static async Task<TestProvider> Start(int port = 0)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));
        builder.Services.AddRoutingCore();
        var app = builder.Build();
        var provider = new TestProvider(app);
        app.Use((context, next) =>
        {
            context.Response.StatusCode = provider.Away ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK;
            return provider.Away ? Task.CompletedTask : next(context);
        });
        app.MapGet("/.well-known/openid-configuration", context => Json(context, provider.Discovery()));
        app.MapGet("/keys", context => Json(context, new { keys = provider.Keys.Select(k => k.Public) }));
        app.MapGet("/authorize", provider.Authorize);
        app.MapPost("/token", provider.Redeem);
        await app.StartAsync();
        provider.Issuer = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        return provider;
    }

    public void Reset()
    {
        (Signer, Twist, Forge, CallsItself, Away) = (null, null, null, null, false);
        Claims = [];
        Registered.Clear();
    }

    /// <summary>As a program gets it by a flow of its own.</summary>
    public string Token(Dictionary<string, object> claims) => Signed(Standard(claims, nonce: null));

    private object Discovery() => new
    {
        issuer = CallsItself ?? Issuer, authorization_endpoint = $"{Issuer}/authorize", token_endpoint = $"{Issuer}/token",
        jwks_uri = $"{Issuer}/keys", response_types_supported = new[] { "code" }, subject_types_supported = new[] { "public" },
        id_token_signing_alg_values_supported = new[] { "RS256", "ES256" }, scopes_supported = new[] { "openid", "groups" },
        code_challenge_methods_supported = new[] { "S256" },
    };

    private Task Authorize(HttpContext context)
    {
        var asked = Asked = context.Request.Query;
        string back = asked["redirect_uri"].ToString();
        if (asked["client_id"] != Client || asked["response_type"] != "code" || asked["code_challenge_method"] != "S256"
            || asked["code_challenge"].ToString().Length != 43 || (Registered.Count > 0 && !Registered.Contains(back)))
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return context.Response.WriteAsync("not registered so");
        }

        string code = $"code-{Interlocked.Increment(ref made)}";
        codes[code] = (asked["code_challenge"].ToString(), asked["nonce"].ToString(), back);
        context.Response.Redirect($"{back}?code={code}&state={Uri.EscapeDataString(asked["state"].ToString())}");
        return Task.CompletedTask;
    }

    private async Task Redeem(HttpContext context)
    {
        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        string verifier = Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(form["code_verifier"].ToString())));
        if (form["client_secret"] != ClientSecret || form["client_id"] != Client || !codes.TryRemove(form["code"].ToString(), out var known)
            || known.Challenge != verifier || known.Back != form["redirect_uri"])
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            await Json(context, new { error = "invalid_grant" });
            return;
        }

        CodesRedeemed++;
        var said = Standard(Claims, known.Nonce);
        Twist?.Invoke(said);
        await Json(context, new
        {
            access_token = "opaque", token_type = "Bearer", expires_in = 300, id_token = Forge?.Invoke(said) ?? Signed(said),
        });
    }

    private Dictionary<string, object> Standard(Dictionary<string, object> claims, string? nonce)
    {
        long now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        var said = new Dictionary<string, object>
        {
            ["iss"] = Issuer, ["aud"] = Client, ["iat"] = now, ["nbf"] = now, ["exp"] = now + 300,
        };
        foreach (var (name, value) in claims)
        {
            said[name] = value;
        }

        if (nonce is not null)
        {
            said["nonce"] = nonce;
        }

        return said;
    }

    private string Signed(Dictionary<string, object> said) => (Signer ?? Keys[0]).Sign(said);

    private static Task Json(HttpContext context, object value)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(JsonSerializer.Serialize(value), context.RequestAborted);
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();
}
