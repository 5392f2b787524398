using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>The whole process put together, one line per room.</summary>
public static class ControlPlaneApp
{
    /// <summary>Agents are given time to save; what has not stopped by then is ended.</summary>
    private static readonly TimeSpan StopWithin = TimeSpan.FromSeconds(30);

    public static WebApplication Build(ControlPlaneOptions options, Endpoints endpoints, Action<ILoggingBuilder> logging)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions
        {
            ApplicationName = typeof(ControlPlaneApp).Assembly.GetName().Name,
            ContentRootPath = AppContext.BaseDirectory,
        });
        logging(builder.Logging);
        builder.WebHost.UseKestrel(endpoints.Listen);
        // Outside of Development the pages' scripts and styles are found only so, when run from a build and not from a publish folder.
        builder.WebHost.UseStaticWebAssets();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = StopWithin);
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddRouting();
        builder.Services.AddApi();
        builder.Services.AddGrpcClient<OpsService.OpsServiceClient>(client => client.Address = new Uri(endpoints.Grpc));

        var app = builder.Build();
        app.UseRouting();
        app.UseWebSockets();
        app.MapApi();
        var control = new ControlFile(Environment.ProcessId, endpoints.Http, endpoints.Grpc, TimeProvider.System.GetUtcNow());
        app.MapGet("/control-plane.json", () => control);
        app.MapGet("/healthz", () => Results.Text("ok\n"));
        return app;
    }
}
