using DeepSeekOps.ControlPlane.Api.OpenApi;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>The door: gRPC, the same as REST, and what describes them.</summary>
public static class ApiSetup
{
    /// <summary>A beat of 256 agents after a long silence stays far below this; a hostile message does not get far above.</summary>
    private const int MessageBytesMax = 16 << 20;

    public static void AddApi(this IServiceCollection services)
    {
        services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = MessageBytesMax;
            grpc.Interceptors.Add<ErrorWords>();
        }).AddJsonTranscoding();
        services.AddSingleton<ErrorWords>();
    }

    public static void MapApi(this IEndpointRouteBuilder routes)
    {
        routes.MapGrpcService<OpsGrpcService>();
        routes.MapGrpcService<WorkerGrpcService>();
        routes.MapOpenApi();
    }
}
