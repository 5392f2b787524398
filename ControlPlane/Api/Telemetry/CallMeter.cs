using System.Diagnostics.Metrics;
using System.Globalization;
using DeepSeekOps.ControlPlane.Grains;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.AspNetCore.StaticAssets;

namespace DeepSeekOps.ControlPlane.Api.Telemetry;

/// <summary>
/// Counts calls of both services, whatever door they come by, and requests of pages, REST and charts. Streams are counted when they
/// end, and their time is not: it is that of the page which is open.
/// </summary>
internal sealed class CallMeter : Interceptor
{
    public const string Name = "DeepSeekOps.Api";

    private const string Counted = "dsops.counted";
    private static readonly string[] Methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];

    /// <summary>From a file of a page to a list of thousands of runs; OpenTelemetry's bounds for requests, without the last.</summary>
    private static readonly InstrumentAdvice<double> Request = new()
    {
        HistogramBucketBoundaries = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    };

    private static readonly Meter Meter = new(Name);

    private static readonly Counter<long> Calls = Meter.CreateCounter<long>(
        "dsops.grpc.requests", null, "Calls of people, programs and agents by method and status; those by REST and pages are in it.");

    private static readonly Histogram<double> CallTime = Meter.CreateHistogram(
        "dsops.grpc.request.duration", "s", "How long calls took that are no streams.", advice: Request);

    private static readonly Counter<long> Requests = Meter.CreateCounter<long>(
        "dsops.http.requests", null, "HTTP requests of pages, REST, charts and probes by route and status code.");

    private static readonly Histogram<double> RequestTime = Meter.CreateHistogram(
        "dsops.http.request.duration", "s", "How long HTTP requests took that are neither streams nor WebSockets.", advice: Request);

    /// <summary>Before all that may refuse a request.</summary>
    public static void UseOn(WebApplication app) => app.Use(async (context, next) =>
    {
        long began = TimeProvider.System.GetTimestamp();
        string method = Methods.Contains(context.Request.Method) ? context.Request.Method : "other";
        try
        {
            await next(context);
        }
        finally
        {
            Took(context, method, TimeProvider.System.GetElapsedTime(began));
        }
    });

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        TResponse? answer = default;
        await Count(context, async () => answer = await continuation(request, context), timed: true);
        return answer!;
    }

    public override Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation) =>
        Count(context, () => continuation(request, responseStream, context), timed: false);

    private static async Task Count(ServerCallContext context, Func<Task> call, bool timed)
    {
        context.GetHttpContext().Items[Counted] = true;
        long began = TimeProvider.System.GetTimestamp();
        var code = StatusCode.Unknown;
        try
        {
            await call();
            code = context.Status.StatusCode;
        }
        catch (RpcException e)
        {
            code = e.StatusCode;
            throw;
        }
        finally
        {
            Called(context.Method, code);
            if (timed)
            {
                var (service, method) = Parts(context.Method);
                CallTime.Record(TimeProvider.System.GetElapsedTime(began).TotalSeconds, new("service", service), new("method", method));
            }
        }
    }

    private static void Called(string full, StatusCode code)
    {
        var (service, method) = Parts(full);
        Calls.Add(1, new("service", service), new("method", method), new("code", code.ToString()));
        // A stage that cannot be asked now is no refusal: the agent says it again.
        if (method == "Heartbeat" && code is StatusCode.PermissionDenied or StatusCode.Unauthenticated or StatusCode.InvalidArgument)
        {
            GrainMeter.Beat(GrainMeter.Refused);
        }
    }

    /// <summary>"/deepseekops.ops.v1.OpsService/GetRun".</summary>
    private static (string Service, string Method) Parts(string full)
    {
        int slash = full.LastIndexOf('/');
        return (full[(full.LastIndexOf('.', slash) + 1)..slash], full[(slash + 1)..]);
    }

    private static void Took(HttpContext context, string method, TimeSpan took)
    {
        var call = context.GetEndpoint()?.Metadata.GetMetadata<GrpcMethodMetadata>()?.Method;
        if (context.Request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) == true)
        {
            // Turned away before any service heard of it; what names no method of ours is nobody's.
            if (call is not null && !context.Items.ContainsKey(Counted)
                && int.TryParse(context.Response.Headers["grpc-status"], NumberStyles.None, CultureInfo.InvariantCulture, out int code))
            {
                Called(call.FullName, (StatusCode)code);
            }

            return;
        }

        string route = RouteOf(context);
        Requests.Add(1, new("route", route), new("method", method),
            new("code", context.Response.StatusCode.ToString(CultureInfo.InvariantCulture)));
        if (context.Response.StatusCode != StatusCodes.Status101SwitchingProtocols && call is not { Type: not MethodType.Unary })
        {
            RequestTime.Record(took.TotalSeconds, new KeyValuePair<string, object?>("route", route));
        }
    }

    /// <summary>As it is mapped, so that there are no more of them than routes, whatever is asked for.</summary>
    private static string RouteOf(HttpContext context) => context.GetEndpoint() switch
    {
        { } known when known.Metadata.GetMetadata<StaticAssetDescriptor>() is not null => "files",
        RouteEndpoint route => route.RoutePattern.RawText ?? "none",
        _ => "none",
    };
}
