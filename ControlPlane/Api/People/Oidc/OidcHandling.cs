using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace DeepSeekOps.ControlPlane.Api.People.Oidc;

/// <summary>
/// ASP.NET's handler of the authorization code flow, told what we ask of it. It is called by our two endpoints and stands in no pipeline of
/// its own: whatever reaches it passed our filters, and it signs nobody in.
/// </summary>
internal static class OidcHandling
{
    public const string Scheme = "oidc";

    /// <summary>Keys that anybody may know cannot sign: RSA and elliptic curves alone, no secrets, no "none".</summary>
    private static readonly string[] Algorithms =
    [
        SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSha384, SecurityAlgorithms.RsaSha512, SecurityAlgorithms.RsaSsaPssSha256,
        SecurityAlgorithms.RsaSsaPssSha384, SecurityAlgorithms.RsaSsaPssSha512, SecurityAlgorithms.EcdsaSha256,
        SecurityAlgorithms.EcdsaSha384, SecurityAlgorithms.EcdsaSha512,
    ];

    /// <summary>Ours: what clocks differ by where a time service runs, many times over; `dsops doctor` calls this much wrong.</summary>
    private static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(60);

    /// <summary>Ours: a person waits for it.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Ours: documents and tokens have some ten kilobytes; hundreds of groups make hundreds.</summary>
    private const int AnswerBytesMax = 1 << 20;

    /// <summary>Ours: a token that names a key which we have not seen makes us ask for them, made-up ones no oftener than so.</summary>
    private static readonly TimeSpan KeysAskedEvery = TimeSpan.FromSeconds(5);

    /// <summary>The token that names a new key waits for it; without this switch it is refused, and the next one is not.</summary>
    private const string WaitForKeys = "Switch.Microsoft.IdentityModel.UpdateConfigAsBlocking";

    public static void AddOidc(this IServiceCollection services, OidcSettings settings)
    {
        AppContext.SetSwitch(WaitForKeys, true);
        services.AddSingleton(settings);
        services.AddSingleton<OidcDoor>();
        services.AddSingleton<SignIns>();
        services.AddOptions<OpenIdConnectOptions>(Scheme).Configure<AccessKey, TimeProvider>((options, key, clock) =>
        {
            Fill(options, settings);
            options.TimeProvider = clock;
            new OpenIdConnectPostConfigureOptions(new SealedByKey(key.SignInSecret)).PostConfigure(Scheme, options);
        });
        services.AddTransient(provider => new OpenIdConnectHandler(
            provider.GetRequiredService<IOptionsMonitor<OpenIdConnectOptions>>(), provider.GetRequiredService<ILoggerFactory>(),
            HtmlEncoder.Default, UrlEncoder.Default));
    }

    /// <summary>For ID tokens of a sign-in and for what programs show alike.</summary>
    public static TokenValidationParameters Validation(OidcSettings settings) => new()
    {
        ValidAudience = settings.ClientId, ValidAlgorithms = Algorithms, ClockSkew = ClockSkew, NameClaimType = "sub",
        IssuerValidator = (issuer, _, _) => settings.IsAuthority(issuer) ? issuer
            : throw new SecurityTokenInvalidIssuerException("another issuer") { InvalidIssuer = issuer },
        // A logout token is signed by the same key for the same audience, and lets nobody in.
        TypeValidator = (type, _, _) => type is null or "" || type.ToUpperInvariant() is "JWT" or "AT+JWT" or "APPLICATION/AT+JWT" ? type
            : throw new SecurityTokenInvalidTypeException("another type") { InvalidType = type },
    };

    private static void Fill(OpenIdConnectOptions options, OidcSettings settings)
    {
        options.Authority = settings.Authority;
        options.ClientId = settings.ClientId;
        options.ClientSecret = settings.ClientSecret.Length > 0 ? settings.ClientSecret : null;
        options.RequireHttpsMetadata = !new Uri(settings.Authority).IsLoopback;
        options.CallbackPath = OidcSettings.CallbackPath;
        // It is never reached: what a sign-in comes to is ours (SignIns).
        options.SignInScheme = "none";
        options.ResponseType = OpenIdConnectResponseType.Code;
        // A redirect that the browser follows: the cookies of this sign-in come with it by SameSite=Lax.
        options.ResponseMode = OpenIdConnectResponseMode.Query;
        options.UsePkce = true;
        options.MapInboundClaims = false;
        options.DisableTelemetry = true;
        options.Scope.Add("email");
        options.RefreshInterval = KeysAskedEvery;
        options.TokenValidationParameters = Validation(settings);
        options.TokenHandler = new SignedTokens { MapInboundClaims = false };
        options.Backchannel = new HttpClient { Timeout = Patience, MaxResponseContentBufferSize = AnswerBytesMax };
        // By TLS ones that no other host of the domain can set: who could, would sign others in as himself.
        string prefix = settings.Https ? "__Host-" : "";
        options.CorrelationCookie.Name = $"{prefix}dsops-sign-in-";
        options.NonceCookie.Name = $"{prefix}dsops-nonce-";
        foreach (var cookie in new[] { options.CorrelationCookie, options.NonceCookie })
        {
            cookie.Path = "/";
            cookie.HttpOnly = true;
            cookie.SameSite = SameSiteMode.Lax;
            cookie.SecurePolicy = settings.Https ? CookieSecurePolicy.Always : CookieSecurePolicy.None;
        }

        options.Events = new OpenIdConnectEvents
        {
            OnRedirectToIdentityProvider = redirect => AskForRoles(redirect, settings),
            OnTicketReceived = ticket =>
            {
                ticket.HandleResponse();
                return ticket.HttpContext.RequestServices.GetRequiredService<SignIns>().Take(
                    ticket.HttpContext, ticket.Principal, ticket.ReturnUri);
            },
            OnRemoteFailure = failure =>
            {
                failure.HandleResponse();
                return DoorPage.Tell(failure.HttpContext, StatusCodes.Status401Unauthorized, "Not signed in",
                    OidcWords.OfSignIn(failure.Failure, settings));
            },
        };
    }

    /// <summary>
    /// ASP.NET takes an ID token of the code flow without any signature too ("alg": "none"), since it comes from the provider itself: OIDC
    /// core 1.0, 3.1.3.7, allows that. We ask for one all the same.
    /// </summary>
    private sealed class SignedTokens : JsonWebTokenHandler
    {
        public override Task<TokenValidationResult> ValidateTokenAsync(string token, TokenValidationParameters validationParameters)
        {
            validationParameters.RequireSignedTokens = true;
            return base.ValidateTokenAsync(token, validationParameters);
        }
    }

    /// <summary>Some providers put the claim into a token where its scope is asked for alone, and some refuse a scope that they have not.
    /// </summary>
    private static async Task AskForRoles(RedirectContext redirect, OidcSettings settings)
    {
        if (redirect.Options.ConfigurationManager is { } manager
            && (await manager.GetConfigurationAsync(redirect.HttpContext.RequestAborted)).ScopesSupported.Contains(settings.RolesClaim))
        {
            redirect.ProtocolMessage.Scope += $" {settings.RolesClaim}";
        }
    }
}
