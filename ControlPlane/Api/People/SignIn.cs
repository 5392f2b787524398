using DeepSeekOps.ControlPlane.Api.People.Oidc;
using DeepSeekOps.ControlPlane.Storage.People;
using DeepSeekOps.Decisions.Audit;
using Grpc.Core;
using Microsoft.AspNetCore.Http.Features;

namespace DeepSeekOps.ControlPlane.Api.People;

/// <summary>Exchanges an API token for the cookie of a browser. The cookie names the token, so it ends with it.</summary>
internal static class SignIn
{
    /// <summary>A token has some sixty characters.</summary>
    private const int BodyMax = 4_096;

    public static void MapSignIn(this IEndpointRouteBuilder routes)
    {
        routes.MapPost("/sign-in", Pass).WithMetadata(new OpenToAll()).DisableAntiforgery();
        // Asks for a page's cookie, and so for its Origin.
        routes.MapPost("/sign-out", End).DisableAntiforgery();
        if (routes.ServiceProvider.GetService<OidcSettings>() is not null)
        {
            OidcDoor.Map(routes);
        }
    }

    /// <summary>A sign-in ends with it, for every browser that has its cookie; a token is good until its end.</summary>
    private static async Task End(HttpContext context, AccessKey key, AccessTokens tokens, TimeProvider clock)
    {
        var who = Gate.Of(context);
        if (who.SignedIn)
        {
            var caller = Caller.Of(context);
            await tokens.SignOut(who.TokenId, new AuditAct(Guid.CreateVersion7().ToString("N"), clock.GetUtcNow(), caller.Who, caller.By,
                $"page, {context.Connection.RemoteIpAddress}", "sign-out", "", who.TokenId, "", AuditAct.Done), context.RequestAborted);
        }

        AccessGuard.SetCookie(context, key, "", TimeSpan.Zero);
        await DoorPage.Tell(context, StatusCodes.Status200OK, "Signed out", who.SignedIn
            ? "Pages of this sign-in show nothing any more. Your provider still knows you in this browser: sign out there too, if others "
                + "use it."
            : "This browser has no way in any more.");
    }

    private static async Task Pass(HttpContext context, AccessKey key, AccessTokens tokens, CallLimits limits, TimeProvider clock)
    {
        var from = context.Connection.RemoteIpAddress;
        if (limits.ToShow(from) is { } guessing)
        {
            await HostFilter.Refuse(context, guessing);
            return;
        }

        // Another site's form is refused before (HostFilter); a browser says where a form stands.
        if (context.Request.Headers.Origin.Count == 0)
        {
            await HostFilter.Refuse(context, StatusCode.PermissionDenied,
                "A form says its Origin; programs send Authorization: Bearer with the token and need no cookie.");
            return;
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = BodyMax;
        }

        if (!context.Request.HasFormContentType || context.Request.ContentLength is null or > BodyMax)
        {
            await HostFilter.Refuse(context, StatusCode.PermissionDenied, "A form with one field, token, opens the pages.");
            return;
        }

        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        var known = await tokens.Shown(form["token"].ToString().Trim(), context.RequestAborted);
        if (known is null || known.Token.Once || !known.Opens(clock.GetUtcNow()))
        {
            limits.OpenedNothing(from);
            await DoorPage.Ask(context, known is null ? "This is no token of this control plane." : known.Token.Once
                ? "A one-time code opens no page; `dsops tokens create NAME --role admin` makes a token with it."
                : "This token was revoked, or its time is over. Ask an admin for another one.");
            return;
        }

        context.Request.Path = "/";
        await AccessGuard.LetIn(context, key, key.CookieOfToken(known.Token.Id));
    }
}
