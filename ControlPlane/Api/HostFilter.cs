using System.Globalization;
using System.Net;
using System.Text.Json;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.Dashboard;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>
/// What an HTTP request passes first. A browser that was let in shows its cookie whoever made it call, so nobody else's web page may
/// speak in its name: neither under a name that was pointed at this machine, nor from another origin. <see cref="AccessGuard"/> asks who
/// calls.
/// </summary>
internal static partial class HostFilter
{
    private const int Unknown = 2;
    private const int InvalidArgument = 3;
    private const int NotFound = 5;
    private const int PermissionDenied = 7;
    private const int Internal = 13;

    /// <summary>As much of a refused message is read; a longer one is cut off.</summary>
    private const int RefusedBytesMax = 1 << 20;

    /// <summary>A year, as browsers' lists of such sites ask for at least.</summary>
    private const string Hsts = "max-age=31536000";

    /// <param name="door">Where people of other machines come in. Null: nowhere.</param>
    public static void UseHostFilter(this WebApplication app, PublicDoor? door = null)
    {
        var log = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(HostFilter).FullName!);
        app.Use((context, next) => Pass(context, next, door, log));
    }

    /// <summary>HEAD is GET without the body, for pages and calls alike; routes are only named for GET.</summary>
    public static void UseHead(this WebApplication app) => app.Use(async (context, next) =>
    {
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await next(context);
            return;
        }

        var body = context.Response.Body;
        (context.Request.Method, context.Response.Body) = (HttpMethods.Get, Stream.Null);
        try
        {
            await next(context);
        }
        finally
        {
            (context.Request.Method, context.Response.Body) = (HttpMethods.Head, body);
        }
    });

    /// <summary>REST has no page that says "not found"; the dashboard's is for people.</summary>
    public static void MapUnknownCalls(this IEndpointRouteBuilder routes) =>
        routes.Map("/v1/{**rest}", (HttpContext context) => Refuse(context, HttpStatusCode.NotFound, NotFound,
            $"There is no call {context.Request.Method} {Checked.Shown(context.Request.Path)}. /api lists those there are."));

    private static async Task Pass(HttpContext context, RequestDelegate next, PublicDoor? door, ILogger log)
    {
        var request = context.Request;
        bool isPublic = door?.Is(context) == true;
        context.Response.OnStarting(() => Protect(context, isPublic));
        if (isPublic && !door!.IsNamed(request.Host.Host))
        {
            await Refuse(context, HttpStatusCode.MisdirectedRequest, PermissionDenied,
                $"Host is '{Checked.Shown(request.Host.Value ?? "")}'; this control plane answers here to {door.InWords} alone. Open it by "
                    + "that, or name this host with --public-url too.");
        }
        else if (!isPublic && IsLoopback(context.Connection.LocalIpAddress) && !IsLoopbackName(request.Host.Host))
        {
            await Refuse(context, HttpStatusCode.MisdirectedRequest, PermissionDenied,
                $"Host is '{Checked.Shown(request.Host.Value ?? "")}'; this control plane answers to localhost, 127.0.0.1 and [::1] alone. "
                    + "Open it by one of these.");
        }
        else if (Changes(request) && request.Headers.Origin is [{ } origin, ..] && !IsOwn(origin, request))
        {
            await Refuse(context, HttpStatusCode.Forbidden, PermissionDenied,
                $"Origin is '{Checked.Shown(origin)}'; pages from elsewhere may not change anything here. Send the request from a "
                    + "program, or from this dashboard.");
        }
        else
        {
            await Answer(context, next, log);
        }
    }

    /// <summary>
    /// What a browser may do with an answer. Scripts are our files and the import map alone. Styles may stand in the page: MudBlazor writes
    /// its theme and positions there. No Referer leaves this address.
    /// </summary>
    private static Task Protect(HttpContext context, bool isPublic)
    {
        var headers = context.Response.Headers;
        if (isPublic)
        {
            headers.StrictTransportSecurity = Hsts;
        }

        headers.XContentTypeOptions = "nosniff";
        headers.TryAdd("Referrer-Policy", "same-origin");
        headers.XFrameOptions = "SAMEORIGIN";
        headers.ContentSecurityPolicy = $"default-src 'self'; script-src 'self' 'nonce-{PageNonce.Of(context)}'; style-src "
            + "'self' 'unsafe-inline'; "
            + "img-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; base-uri 'self'; form-action "
            + "'self'; frame-ancestors 'self'";
        return Task.CompletedTask;
    }

    /// <summary>JSON that is no message of the call's, and our own mistakes, have words too.</summary>
    private static async Task Answer(HttpContext context, RequestDelegate next, ILogger log)
    {
        try
        {
            await next(context);
            SayThatItCannotBeRead(context);
        }
        catch (JsonException e) when (IsCall(context))
        {
            await Refuse(context, HttpStatusCode.BadRequest,
                InvalidArgument, $"The body is not what {context.Request.Path} takes: {e.Message}");
        }
        catch (Exception e) when (IsCall(context) && e is not OperationCanceledException)
        {
            Failed(log, context.Request.Path, e);
            await Refuse(context, HttpStatusCode.InternalServerError, Internal, "Internal error; see the control plane's log.");
        }
    }

    /// <summary>
    /// Whatever a call throws has a status of its own (ErrorWords). What comes to no call at all, since its message is no message, is
    /// answered by gRPC with "unknown", which says nothing of whose mistake it is.
    /// </summary>
    private static void SayThatItCannotBeRead(HttpContext context)
    {
        var headers = context.Response.Headers;
        if (!context.Response.HasStarted && headers["grpc-status"] == Text(Unknown))
        {
            headers["grpc-status"] = Text(InvalidArgument);
            headers["grpc-message"] = Uri.EscapeDataString(
                $"The bytes sent are not a message that {context.Request.Path} takes: they end too soon, or a text in them is not UTF-8.");
        }
    }

    private static string Text(int code) => code.ToString(CultureInfo.InvariantCulture);

    private static bool IsCall(HttpContext context) =>
        !context.Response.HasStarted && context.Request.Path.StartsWithSegments("/v1", StringComparison.Ordinal);

    /// <summary>
    /// A page elsewhere cannot read an answer, but it can cause one: by writing, and by a websocket, which no browser guards.
    /// </summary>
    internal static bool Changes(HttpRequest request) =>
        request.HttpContext.WebSockets.IsWebSocketRequest || request.Headers.Upgrade.Count > 0
        || !(HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method) || HttpMethods.IsOptions(request.Method));

    internal static bool IsOwn(string origin, HttpRequest request) =>
        Uri.TryCreate(origin, UriKind.Absolute, out var from)
            && string.Equals(from.Scheme, request.Scheme, StringComparison.OrdinalIgnoreCase)
            && string.Equals(from.Authority, request.Host.Value, StringComparison.OrdinalIgnoreCase);

    /// <summary>What listens on a real address is reached by names that only its operator knows.</summary>
    private static bool IsLoopback(IPAddress? address) => address is null || IPAddress.IsLoopback(address);

    private static bool IsLoopbackName(string host) =>
        string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase)
            || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    /// <summary>How long to wait is said too, in seconds: by gRPC among what comes with the status.</summary>
    internal static Task Refuse(HttpContext context, TooMany tooMany)
    {
        context.Response.Headers.RetryAfter = Text((int)tooMany.After.TotalSeconds);
        return Refuse(context, StatusCode.ResourceExhausted, tooMany.Words);
    }

    internal static Task Refuse(HttpContext context, StatusCode code, string words) => Refuse(context, code switch
    {
        StatusCode.Unauthenticated => HttpStatusCode.Unauthorized,
        StatusCode.Unavailable => HttpStatusCode.ServiceUnavailable,
        StatusCode.ResourceExhausted => HttpStatusCode.TooManyRequests,
        _ => HttpStatusCode.Forbidden,
    }, (int)code, words);

    /// <summary>By REST the shape of every other refusal, google.rpc.Status; by gRPC its status.</summary>
    private static async Task Refuse(HttpContext context, HttpStatusCode status, int code, string words)
    {
        if (context.Request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) == true)
        {
            await ReadToItsEnd(context);
            context.Response.ContentType = "application/grpc";
            context.Response.Headers["grpc-status"] = Text(code);
            context.Response.Headers["grpc-message"] = Uri.EscapeDataString(words);
            return;
        }

        string? asked = context.Response.Headers.WWWAuthenticate;
        string? after = context.Response.Headers.RetryAfter;
        context.Response.Clear();
        context.Response.Headers.WWWAuthenticate = asked;
        context.Response.Headers.RetryAfter = after;
        context.Response.StatusCode = (int)status;
        await context.Response.WriteAsJsonAsync(new { code, message = words, details = Array.Empty<object>() }, context.RequestAborted);
    }

    /// <summary>
    /// An answer before the message is read ends with a reset of its HTTP/2 stream, and some clients lose the answer over it.
    /// </summary>
    private static async Task ReadToItsEnd(HttpContext context)
    {
        byte[] ignored = new byte[4096];
        for (int read = 0, more;
        read < RefusedBytesMax && (more = await context.Request.Body.ReadAsync(ignored, context.RequestAborted)) > 0; read += more)
        {
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{Path} failed")]
    private static partial void Failed(ILogger log, string path, Exception e);
}
