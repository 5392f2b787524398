using System.Data.Common;
using System.Net;
using System.Net.Http.Headers;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.ControlPlane.Api.People.Oidc;
using DeepSeekOps.ControlPlane.Api.Telemetry;
using DeepSeekOps.ControlPlane.Storage.People;
using DeepSeekOps.Decisions.People;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.StaticAssets;
using Microsoft.Net.Http.Headers;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>Marks an endpoint that answers anybody on the machine.</summary>
internal sealed class OpenToAll;

/// <summary>
/// Asks every call who it comes from: programs show the people's token, pages a cookie, agents the token of their gang. Only the files that
/// make up a page and what is marked <see cref="OpenToAll"/> are free; a call that nobody thought of is not.
/// </summary>
internal static class AccessGuard
{
    private const string CodeName = "code";
    private const string Scheme = "Bearer ";

    /// <summary>A month: as long as a browser usually stays on a machine without being asked again.</summary>
    private static readonly TimeSpan CookieAge = TimeSpan.FromDays(30);

    private enum Caller
    {
        Nobody = 0,
        Person = 1,
        Page = 2,
        Agent = 3,
    }

    public static void UseAccessGuard(this WebApplication app, AccessKey key)
    {
        var people = new PeopleAtTheDoor(
            key, app.Services.GetRequiredService<AccessTokens>(), app.Services.GetRequiredService<TimeProvider>(),
            app.Services.GetService<OidcDoor>());
        var gate = app.Services.GetRequiredService<Gate>();
        var limits = app.Services.GetRequiredService<CallLimits>();
        app.Use((context, next) => Pass(context, next, key, people, gate, limits));
    }

    /// <summary>
    /// A port that other machines reach is for agents' reports: no page, no call of people, not even one with their token.
    /// </summary>
    /// <param name="port">Null: there is no such port.</param>
    public static void UseAgentsOnly(this WebApplication app, int? port) => app.Use((context, next) =>
        port is null || context.Connection.LocalPort != port || IsReport(context) ? next(context)
            : HostFilter.Refuse(context, StatusCode.PermissionDenied, "Only agents report here; people and programs use the address of the "
                + "dashboard, on the machine of the control plane (on Kubernetes by kubectl port-forward)."));

    /// <summary>Whom the caller of a gRPC method may speak for.</summary>
    public static AgentClaims ClaimsOf(ServerCallContext context) => context.GetHttpContext().Features.Get<AgentClaims>()
        ?? throw new InvalidOperationException($"{context.Method} was reached without an agent's token");

    /// <summary>For endpoints that are open to all and tell some of them more.</summary>
    public static bool IsPerson(HttpContext context) => context.Features.Get<KnownCaller>()?.Caller is Caller.Person or Caller.Page;

    private static async Task Pass(
        HttpContext context, RequestDelegate next, AccessKey key, PeopleAtTheDoor people, Gate gate, CallLimits limits)
    {
        var endpoint = context.GetEndpoint();
        if (endpoint?.Metadata.GetMetadata<StaticAssetDescriptor>() is not null)
        {
            await next(context);
            return;
        }

        // Whoever guesses is not looked up without end; who was let in before is not kept out by a neighbour who does.
        if (limits.ToShow(context.Connection.RemoteIpAddress) is { } guessing && Guesses(context, key, people, limits))
        {
            await HostFilter.Refuse(context, guessing);
            return;
        }

        if (await CallerOf(context, key, people) is not { } caller)
        {
            await HostFilter.Refuse(context, StatusCode.Unavailable,
                "Whose token this is cannot be looked up, since the database gives no answer. Look at its own log. Then try again.");
            return;
        }

        context.Features.Set(new KnownCaller(caller));
        if (caller is Caller.Nobody && Guesses(context, key, people, limits))
        {
            limits.OpenedNothing(context.Connection.RemoteIpAddress);
        }
        else if (caller is Caller.Person && context.Features.Get<Holder>() is { IsOwner: false })
        {
            limits.Opened(TokenOf(context));
        }

        if (endpoint?.Metadata.GetMetadata<OpenToAll>() is not null)
        {
            await next(context);
        }
        else if (TooManyOf(context, limits) is { } tooMany)
        {
            await HostFilter.Refuse(context, tooMany);
        }
        else if (ByCode(context.Request) is { } code && key.IsPageCode(code))
        {
            await LetIn(context, key, key.CookieValue);
        }
        else if (context.Features.Get<Holder>() is { } holder && await gate.RefusalOfPath(context, holder) is { } refusal)
        {
            await HostFilter.Refuse(context, StatusCode.PermissionDenied, refusal);
        }
        else
        {
            await Answer(context, next, caller);
        }
    }

    private static TooMany? TooManyOf(HttpContext context, CallLimits limits) =>
        context.Features.Get<AgentClaims>() is { } agent ? limits.Of(agent)
            : context.Features.Get<Holder>() is { } holder ? limits.Of(holder) : null;

    /// <summary>It shows something that may be anything.</summary>
    private static bool Guesses(HttpContext context, AccessKey key, PeopleAtTheDoor people, CallLimits limits) =>
        context.Request.Headers.Authorization.Count > 0
            ? TokenOf(context) is { Length: > 0 } token && !people.IsNoGuess(limits, token, null)
            : context.Request.Cookies[CookieName(context, key)] is { } cookie ? !people.IsNoGuess(limits, "", cookie)
                : ByCode(context.Request) is { } code && context.GetEndpoint()?.Metadata.GetMetadata<OpenToAll>() is null
                    && !key.IsPageCode(code);

    private static Task Answer(HttpContext context, RequestDelegate next, Caller caller) => (caller, IsReport(context)) switch
    {
        (Caller.Nobody, _) => Ask(context),
        (Caller.Agent, true) => next(context),
        (_, true) => HostFilter.Refuse(context, StatusCode.PermissionDenied,
            "Only agents report here, each with the token that it was started with. People and programs call "
                + "deepseekops.ops.v1.OpsService."),
        (Caller.Agent, false) => HostFilter.Refuse(context, StatusCode.PermissionDenied,
            "This is an agent's token; it opens the agent's own reports and nothing else. Use the token of "
                + "control-plane.json in the data directory."),
        (Caller.Page, _) when HostFilter.Changes(context.Request) && context.Request.Headers.Origin.Count == 0 => HostFilter.Refuse(
            context, StatusCode.PermissionDenied,
            "A page that changes something says its Origin; programs send the token instead of the cookie."),
        _ => next(context),
    };

    private static bool IsReport(HttpContext context) =>
        context.GetEndpoint()?.Metadata.GetMetadata<GrpcMethodMetadata>()?.ServiceType == typeof(WorkerGrpcService);

    private sealed record KnownCaller(Caller Caller);

    /// <summary>Null: the list of tokens cannot be read. The owner's token and those of agents need none.</summary>
    private static async Task<Caller?> CallerOf(HttpContext context, AccessKey key, PeopleAtTheDoor people)
    {
        try
        {
            return await Look(context, key, people);
        }
        catch (Exception e) when (e is DbException or TimeoutException or IOException or InvalidOperationException)
        {
            // Whoever watches has to hear of it: metrics by a token that is remembered, probes by whatever is shown.
            var metadata = context.GetEndpoint()?.Metadata;
            return metadata?.GetMetadata<ForMonitoring>() is null ? null
                : people.ByMemory(context, TokenOf(context)) ? Caller.Person
                : metadata.GetMetadata<OpenToAll>() is not null ? Caller.Nobody : null;
        }
    }

    private static async Task<Caller> Look(HttpContext context, AccessKey key, PeopleAtTheDoor people)
    {
        if (context.Request.Headers.Authorization.ToString().Length > 0)
        {
            string token = TokenOf(context);
            if (key.Agent(token) is { } claims)
            {
                context.Features.Set(claims);
                return Caller.Agent;
            }

            return await people.ByToken(context, token) ? Caller.Person : Caller.Nobody;
        }

        return context.Request.Cookies[CookieName(context, key)] is { } cookie && await people.ByCookie(context, cookie)
            ? Caller.Page : Caller.Nobody;
    }

    private static string TokenOf(HttpContext context) =>
        context.Request.Headers.Authorization.ToString() is var said && said.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)
            ? said[Scheme.Length..].Trim() : "";

    private static string? ByCode(HttpRequest request) =>
        HttpMethods.IsGet(request.Method) && request.Query[CodeName] is [{ Length: > 0 } code] ? code : null;

    /// <summary>By TLS one that no other host of the domain, and no page in clear, can set in its place.</summary>
    private static string CookieName(HttpContext context, AccessKey key) =>
        context.Request.IsHttps ? $"__Host-{key.CookieName}" : key.CookieName;

    internal static void SetCookie(HttpContext context, AccessKey key, string cookie, TimeSpan age) =>
        context.Response.Cookies.Append(CookieName(context, key), cookie, new CookieOptions
        {
            HttpOnly = true, SameSite = Microsoft.AspNetCore.Http.SameSiteMode.Strict, Secure = context.Request.IsHttps, Path = "/",
            MaxAge = age,
        });

    /// <summary>To the same address without its code, so that it stays neither in the history nor in a Referer.</summary>
    internal static Task LetIn(HttpContext context, AccessKey key, string cookie)
    {
        SetCookie(context, key, cookie, CookieAge);
        var rest = QueryString.Create(context.Request.Query.Where(pair => pair.Key != CodeName).SelectMany(
            pair => pair.Value, (pair, value) => KeyValuePair.Create<string, string?>(pair.Key, value)));
        context.Response.Headers.CacheControl = "no-store";
        context.Response.Headers["Referrer-Policy"] = "no-referrer";
        context.Response.StatusCode = StatusCodes.Status303SeeOther;
        // One slash at its beginning: two would name another host.
        context.Response.Headers.Location = $"/{context.Request.Path.ToUriComponent().TrimStart('/')}{rest.ToUriComponent()}";
        return Task.CompletedTask;
    }

    private static Task Ask(HttpContext context)
    {
        var away = context.Features.Get<TurnedAway>();
        if (away is { IsKnown: true })
        {
            return HostFilter.Refuse(context, StatusCode.PermissionDenied, away.Why);
        }

        context.Response.Headers.WWWAuthenticate = "Bearer";
        bool page = HttpMethods.IsGet(context.Request.Method)
            && context.Request.Headers.Accept.ToString().Contains("text/html", StringComparison.Ordinal);
        return page ? DoorPage.Ask(context, away?.Why ?? "") : HostFilter.Refuse(context, StatusCode.Unauthenticated,
            "This control plane asks who is there, and the call shows no token of its own. "
            + $"{away?.Why}"
            + "Run it as the user who started `dsops dev`, or name its data directory with --data-dir; other programs send "
            + "Authorization: Bearer with the token of control-plane.json in that directory, or one that `dsops tokens create` made.");
    }
}
