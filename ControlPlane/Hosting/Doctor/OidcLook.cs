using System.Collections.Immutable;
using System.Text.Json;
using DeepSeekOps.ControlPlane.Api.People.Oidc;
using DeepSeekOps.Decisions.Doctor;
using Microsoft.AspNetCore.Http.Extensions;

namespace DeepSeekOps.ControlPlane.Hosting.Doctor;

/// <summary>Asks an OIDC provider what a sign-in would ask, and signs nobody in.</summary>
internal static class OidcLook
{
    private const int AnswerBytesMax = 1 << 20;

    /// <summary>The example of RFC 7636, appendix B: a provider looks at its form alone before somebody has signed in.</summary>
    private const string Challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    private static readonly string[] Endpoints = ["authorization_endpoint", "token_endpoint", "jwks_uri"];

    public static async Task<OidcFacts> Of(OidcSettings settings, ControlPlaneOptions options, TimeProvider clock, TimeSpan patience,
        CancellationToken cancellation)
    {
        var facts = new OidcFacts(settings.Authority) { Public = options.PublicUrls.Length > 0 };
        using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false })
        {
            Timeout = patience, MaxResponseContentBufferSize = AnswerBytesMax,
        };
        try
        {
            using var document = JsonDocument.Parse(await Discovery(http, settings.Discovery, cancellation));
            var told = document.RootElement;
            string authorize = Text(told, Endpoints[0]);
            bool usable = OidcWords.IsGuarded(authorize, settings);
            return facts with
            {
                Issuer = Text(told, "issuer"),
                Unusable = [.. Endpoints.Where(name => !OidcWords.IsGuarded(Text(told, name), settings))
                    .Select(name => $"{name} '{Text(told, name)}'")],
                Clock = await MachineLook.DateOf(settings.Discovery, clock, patience, cancellation),
                Redirects = [.. await Task.WhenAll(Redirects(options).Select(async address =>
                    (address, usable ? await Ask(http, authorize, address, settings, cancellation) : null)))],
            };
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or InvalidOperationException or IOException
            || (e is TaskCanceledException && !cancellation.IsCancellationRequested))
        {
            return facts with { Trouble = e is JsonException ? "what it answers is no JSON" : e.GetBaseException().Message };
        }
    }

    private static async Task<string> Discovery(HttpClient http, Uri address, CancellationToken cancellation)
    {
        using var answer = await http.GetAsync(address, cancellation);
        return answer.IsSuccessStatusCode ? await answer.Content.ReadAsStringAsync(cancellation)
            : throw new HttpRequestException($"{address} answers {(int)answer.StatusCode}");
    }

    private static IEnumerable<string> Redirects(ControlPlaneOptions options) => options.PublicUrls is { Length: > 0 } urls
        ? urls.Select(url => url.GetLeftPart(UriPartial.Authority) + OidcSettings.CallbackPath)
        : [$"http://127.0.0.1:{options.Port ?? ControlPlaneOptions.UsualPort}{OidcSettings.CallbackPath}"];

    private static async Task<int?> Ask(
        HttpClient http, string authorize, string back, OidcSettings settings, CancellationToken cancellation)
    {
        var query = new QueryBuilder
        {
            { "client_id", settings.ClientId }, { "redirect_uri", back }, { "response_type", "code" }, { "scope", "openid" },
            { "code_challenge", Challenge }, { "code_challenge_method", "S256" }, { "state", "doctor" }, { "nonce", "doctor" },
        };
        try
        {
            string join = authorize.Contains('?', StringComparison.Ordinal) ? $"&{query.ToString()[1..]}" : query.ToString();
            using var answer = await http.GetAsync(new Uri(authorize + join), HttpCompletionOption.ResponseHeadersRead, cancellation);
            return (int)answer.StatusCode;
        }
        catch (Exception e) when (e is HttpRequestException || (e is TaskCanceledException && !cancellation.IsCancellationRequested))
        {
            return null;
        }
    }

    private static string Text(JsonElement told, string name) => told.ValueKind == JsonValueKind.Object
        && told.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() ?? "" : "";
}
