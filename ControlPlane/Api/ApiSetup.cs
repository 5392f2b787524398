using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api.Archives;
using DeepSeekOps.ControlPlane.Api.Calls;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.ControlPlane.Api.Telemetry;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Api.OpenApi;
using Google.Protobuf.Reflection;
using Microsoft.AspNetCore.Antiforgery;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>The door: gRPC, the same as REST, and what describes them.</summary>
public static class ApiSetup
{
    /// <summary>A beat of 256 agents after a long silence stays far below this; a hostile message does not get far above.</summary>
    private const int MessageBytesMax = 16 << 20;

    public static void AddApi(this IServiceCollection services)
    {
        // A refused pipeline's problems are packed in an Any; JSON needs to know what may be in one.
        services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = MessageBytesMax;
            // The outermost: it hears the status that the caller is told.
            grpc.Interceptors.Add<CallMeter>();
            grpc.Interceptors.Add<ErrorInterceptor>();
            grpc.Interceptors.Add<ActInterceptor>();
        }).AddJsonTranscoding(rest => rest.TypeRegistry = TypeRegistry.FromMessages(PipelineProblems.Descriptor));
        // Pages' other cookie: by TLS for TLS, as the one that lets in.
        services.Configure<AntiforgeryOptions>(forms => forms.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest);
        services.AddSingleton<ErrorInterceptor>();
        services.AddSingleton<ActInterceptor>();
        services.AddSingleton<Gate>();
        services.AddSingleton<CallLimits>();
        services.AddSingleton<HealthBoard>();
        services.AddSingleton<RunLists>();
        services.AddTelemetry();
        services.AddArchives();
        services.AddCalls();
    }

    /// <summary>A class for each subject, with what it alone needs.</summary>
    private static void AddCalls(this IServiceCollection services) => services
        .AddSingleton<KnownRuns>().AddSingleton<WholeCluster>().AddSingleton<CallStreams>()
        .AddSingleton<SubmissionCalls>().AddSingleton<RunCalls>().AddSingleton<HistoryCalls>().AddSingleton<IncidentCalls>()
        .AddSingleton<HandCalls>().AddSingleton<AuditCalls>().AddSingleton<TokenCalls>()
        .AddSingleton<DrillCalls>().AddSingleton<OutageLedger>().AddSingleton<TraceCalls>()
        .AddSingleton<ExpertCalls>().AddSingleton<TryCalls>().AddSingleton<NodeCalls>().AddSingleton<QueueCalls>()
        .AddSingleton<ForesightCalls>().AddSingleton<ServerCalls>();

    public static void MapApi(this IEndpointRouteBuilder routes)
    {
        routes.MapGrpcService<OpsGrpcService>();
        routes.MapGrpcService<WorkerGrpcService>();
        routes.MapHealth();
        routes.MapProbes();
        routes.MapMetrics();
        routes.MapArchives();
        routes.MapSignIn();
        routes.MapOpenApi();
        routes.MapUnknownCalls();
    }
}
