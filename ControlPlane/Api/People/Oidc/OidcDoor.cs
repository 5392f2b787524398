using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.People;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace DeepSeekOps.ControlPlane.Api.People.Oidc;

/// <summary>Where people come in by their provider: a browser by two redirects, a program by the token that it shows.</summary>
internal sealed partial class OidcDoor(
    OidcSettings settings, IOptionsMonitor<OpenIdConnectOptions> handling, TimeProvider clock, ILogger<OidcDoor> log)
{
    private static readonly JsonWebTokenHandler Tokens = new() { MapInboundClaims = false };

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/sign-in/start", (HttpContext context, OidcDoor door) => door.Start(context)).WithMetadata(new OpenToAll());
        routes.MapGet(OidcSettings.CallbackPath, (HttpContext context, OidcDoor door) => door.Callback(context))
            .WithMetadata(new OpenToAll());
    }

    /// <summary>A page of ours, or the first one: whatever else a link asks for.</summary>
    public static string Local(string? to) => to is ['/', ..] && !to.StartsWith("//", StringComparison.Ordinal)
        && !to.StartsWith("/sign-", StringComparison.OrdinalIgnoreCase) && !to.Any(c => c == '\\' || char.IsControl(c)) ? to : "/";

    /// <summary>Anything in three parts is taken for the provider's; tokens of our own have none.</summary>
    public static bool CouldBeToken(string text) => text.Count(c => c == '.') == 2 && text.StartsWith("ey", StringComparison.Ordinal);

    /// <summary>A program's token of the provider.</summary>
    /// <returns>Who shows it; or why it opens nothing, and whether it is known who he is.</returns>
    public async Task<(Holder? Who, TurnedAway? Away)> Shown(string text, CancellationToken cancellation)
    {
        if (await Configuration(cancellation) is not { } manager)
        {
            return (null, new TurnedAway(OidcWords.Away(settings) + " "));
        }

        var checks = OidcHandling.Validation(settings);
        checks.ConfigurationManager = manager;
        var result = await Tokens.ValidateTokenAsync(text, checks);
        if (!result.IsValid || result.SecurityToken is not JsonWebToken token)
        {
            return (null, new TurnedAway(OidcWords.OfToken(result.Exception, settings)));
        }

        if (token.IssuedAt + settings.Session < clock.GetUtcNow())
        {
            return (null, new TurnedAway($"The token of {settings.Authority} is older than a sign-in lasts here "
                + $"({settings.Session.TotalHours:0.##} h). "));
        }

        var claims = result.ClaimsIdentity.Claims.ToList();
        if (OidcClaims.PersonOf(claims, settings.Authority) is not { } person)
        {
            return (null, new TurnedAway("The token names nobody (sub). "));
        }

        var values = OidcClaims.ValuesOf(claims, settings.RolesClaim);
        return settings.Grants.Of(values) is { } grant
            ? (new Holder(person.Name, grant.Role, grant.Team, OidcHandling.Scheme) { Person = person, SignedIn = true }, null)
            : (null, new TurnedAway(OidcClaims.NotMapped(person, values, settings)) { IsKnown = true });
    }

    private async Task Start(HttpContext context)
    {
        if (settings.Https && !context.Request.IsHttps)
        {
            await DoorPage.Tell(context, StatusCodes.Status403Forbidden, "Not signed in",
                "People sign in at the address of --public-url, by TLS; cookies are for that alone. On this machine run `dsops url`.",
                again: false);
            return;
        }

        if (await Configuration(context.RequestAborted) is not { } manager)
        {
            await DoorPage.Tell(context, StatusCodes.Status503ServiceUnavailable, "Not signed in", OidcWords.Away(settings));
            return;
        }

        if (OidcWords.TroubleOf(await manager.GetConfigurationAsync(context.RequestAborted), settings) is { } trouble)
        {
            // Whoever mends it wants no restart for it.
            manager.RequestRefresh();
            await DoorPage.Tell(context, StatusCodes.Status503ServiceUnavailable, "Not signed in", trouble);
            return;
        }

        context.Response.Headers.CacheControl = "no-store";
        await (await Handler(context)).ChallengeAsync(new AuthenticationProperties { RedirectUri = Local(context.Request.Query["to"]) });
    }

    private async Task Callback(HttpContext context)
    {
        context.Response.Headers.CacheControl = "no-store";
        context.Response.Headers["Referrer-Policy"] = "no-referrer";
        try
        {
            await (await Handler(context)).HandleRequestAsync();
        }
        catch (Exception e) when (StoreFailure.IsOne(e) || e is StoreUnwritableException)
        {
            NotKept(log, e);
            await DoorPage.Tell(context, StatusCodes.Status503ServiceUnavailable, "Not signed in",
                "The database takes nothing now, and a sign-in is kept there. Try again in a minute.");
        }
    }

    /// <summary>Null: the provider cannot be asked, and has not been heard before.</summary>
    private async Task<Microsoft.IdentityModel.Protocols.ConfigurationManager<OpenIdConnectConfiguration>?> Configuration(
        CancellationToken cancellation)
    {
        var manager = (Microsoft.IdentityModel.Protocols.ConfigurationManager<OpenIdConnectConfiguration>)
            handling.Get(OidcHandling.Scheme).ConfigurationManager!;
        try
        {
            await manager.GetConfigurationAsync(cancellation);
            return manager;
        }
        catch (Exception e) when (e is InvalidOperationException or IOException or HttpRequestException
            || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            Unreachable(log, settings.Authority, e.GetBaseException().Message);
            return null;
        }
    }

    private static async Task<OpenIdConnectHandler> Handler(HttpContext context)
    {
        var handler = context.RequestServices.GetRequiredService<OpenIdConnectHandler>();
        await handler.InitializeAsync(new AuthenticationScheme(OidcHandling.Scheme, null, typeof(OpenIdConnectHandler)), context);
        return handler;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The OIDC provider {Authority} gives no usable answer: {Why}")]
    private static partial void Unreachable(ILogger log, string authority, string why);

    [LoggerMessage(Level = LogLevel.Error, Message = "A sign-in could not be kept")]
    private static partial void NotKept(ILogger log, Exception e);
}
