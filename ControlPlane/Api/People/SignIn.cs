using DeepSeekOps.ControlPlane.Storage.People;
using Grpc.Core;
using Microsoft.AspNetCore.Http.Features;

namespace DeepSeekOps.ControlPlane.Api.People;

/// <summary>Exchanges an API token for the cookie of a browser. The cookie names the token, so it ends with it.</summary>
internal static class SignIn
{
    /// <summary>A token has some sixty characters.</summary>
    private const int BodyMax = 4_096;

    public static void MapSignIn(this IEndpointRouteBuilder routes) =>
        routes.MapPost("/sign-in", Pass).WithMetadata(new OpenToAll()).DisableAntiforgery();

    private static async Task Pass(HttpContext context, AccessKey key, AccessTokens tokens, TimeProvider clock)
    {
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
            await AccessGuard.Page(context, known is null ? "This is no token of this control plane." : known.Token.Once
                ? "A one-time code opens no page; `dsops tokens create NAME --role admin` makes a token with it."
                : "This token was revoked, or its time is over. Ask an admin for another one.");
            return;
        }

        context.Request.Path = "/";
        await AccessGuard.LetIn(context, key, key.CookieOfToken(known.Token.Id));
    }
}
