using System.Net;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Api.Notices;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.ControlPlane.Api.People.Oidc;
using DeepSeekOps.ControlPlane.Api.Series;
using DeepSeekOps.ControlPlane.Api.Telemetry;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Clusters.Generation;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Hosting.Tls;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Audit;
using DeepSeekOps.ControlPlane.Storage.Orleans;
using DeepSeekOps.ControlPlane.Storage.Series;
using DeepSeekOps.Dashboard;
using DeepSeekOps.Decisions.Checkpoints;
using Orleans.Configuration;
using Orleans.GrainDirectory;
using Orleans.Runtime.Hosting;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>The whole process put together, one line per room.</summary>
public static class ControlPlaneApp
{
    private static readonly TimeSpan StopWithin = TimeSpan.FromSeconds(15);

    public static WebApplication Build(
        ControlPlaneOptions options, Endpoints endpoints, OpsDatabase database, Action<ILoggingBuilder> logging,
        ClusterSettings? clusterSettings = null,
        PostgresHold? hold = null, TlsDoors? doors = null)
    {
        var settings = clusterSettings ?? new ClusterSettings();
        var key = KeyFile.Of(options);
        var tls = doors ?? TlsDoors.Own(key);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions
        {
            ApplicationName = typeof(ControlPlaneApp).Assembly.GetName().Name,
            ContentRootPath = AppContext.BaseDirectory,
        });
        logging(builder.Logging);
        builder.Services.AddSingleton<LoggerFactory>();
        builder.Services.AddSingleton<RecurringFailures>();
        builder.Services.AddSingleton<ILoggerFactory, CalmLogging>();
        builder.WebHost.UseKestrel(kestrel => endpoints.Listen(kestrel, tls));
        builder.Services.AddSingleton(_ => tls);
        builder.WebHost.UseSockets(sockets => sockets.CreateBoundListenSocket = LoopbackPort.Listener);
        // Outside of Development the pages' scripts and styles are found only so, when run from a build and not from a publish folder.
        builder.WebHost.UseStaticWebAssets();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = StopWithin);
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddRouting();
        options.Cluster.AddTo(builder.Services, new ClusterHouse(
            options.DataDirectory, settings.Fabric, (gang, node) => key.AgentToken(new AgentClaims(gang, node)), tls.Pin));
        // By it the agents of a cluster within this process speak.
        builder.Services.AddSingleton(provider => DirectAgentCalls.Of(provider.GetRequiredService<IGrainFactory>()));
        builder.Services.AddStorage(database);
        builder.Services.AddSingleton(new AuditSeal(key.AuditSecret, key.Fingerprint));
        if (hold is not null)
        {
            // Made by the container, it is let go by it, after those who write.
            builder.Services.AddSingleton(_ => hold);
        }

        builder.Services.AddSingleton(LedgerBinding.Of);
        builder.UseOrleans(silo => Silo(silo, endpoints, settings, key));
        builder.Services.AddSingleton(new CheckpointRoot(
            options.Cluster.Checkpoints ?? Path.Combine(options.DataDirectory, "checkpoints"))
        {
            Store = settings.CheckpointStore ?? StoreAccess.Default,
            WithoutKeys = options.Cluster.WithoutStoreKeys(Environment.GetEnvironmentVariable),
        });
        builder.AddTelemetryExport();
        builder.Services.AddSingleton(new GpuPrice(settings.DollarsPerGpuHour));
        builder.Services.AddNotices(settings.Notifications, endpoints.Pages);
        builder.Services.AddSingleton(new GenerationLimits());
        builder.Services.AddSingleton(services => new Generations(
            services.GetRequiredService<GenerationLimits>(), services.GetRequiredService<ITrainingCluster>().Generation,
            services.GetRequiredService<TimeProvider>()));
        builder.Services.AddSingleton<FileLooks>();
        builder.Services.AddApi();
        if (options.Oidc is { } oidc)
        {
            builder.Services.AddOidc(oidc with { Https = endpoints.Https is not null });
        }

        builder.Services.AddSingleton(key);
        builder.Services.AddPageCalls(endpoints.Grpc, key);
        builder.Services.AddSingleton(_ => new HouseClient(endpoints.Grpc, key));
        if (endpoints.Silo is not null)
        {
            builder.Services.AddSilos();
        }

        builder.Services.AddSingleton<FirstSilo>();
        if (options.Cluster.DeclaresPipelines)
        {
            builder.Services.AddHostedService<DeclaredPipelines>();
        }

        builder.Services.AddDashboard();
        return Map(builder.Build(), endpoints, key);
    }

    private static void Silo(ISiloBuilder silo, Endpoints endpoints, ClusterSettings settings, AccessKey key)
    {
        silo.UseOpsStorage();
        silo.AddGrains(settings.ToPolicy(), alone: endpoints.Silo is null);
        silo.Configure<ClusterOptions>(cluster => (cluster.ClusterId, cluster.ServiceId) = ("dsops", "dsops"));
        if (endpoints.Silo is { } at)
        {
            silo.UseSiloPort(at, SiloPort.Certificate(key.SilosSecret));
            // Orleans' usual directory may know a grain twice while silos come and go.
            silo.AddGrainDirectory(GrainDirectoryAttribute.DEFAULT_GRAIN_DIRECTORY, (services, _) => new OpsDirectory(
                services.GetRequiredService<OpsConnections>(), services.GetRequiredService<PostgresHold>()));
            return;
        }

        // No gateway: the only clients are in this process.
        silo.ConfigureEndpoints(IPAddress.Loopback, endpoints.SiloPort, gatewayPort: 0);
        silo.UseNoSiloPort();
    }

    private static WebApplication Map(WebApplication app, Endpoints endpoints, AccessKey key)
    {
        var control = endpoints.ToFile(key) with { Token = null, Open = null };
        // What is measured is measured from the first request on.
        app.Services.GetRequiredService<MeterBook>();
        CallMeter.UseOn(app);
        app.Services.GetRequiredService<TlsDoors>().LogTo(app.Services.GetRequiredService<ILoggerFactory>());
        app.UseHostFilter(endpoints.Public);
        app.UseHead();
        app.UseRouting();
        app.UseAgentsOnly(endpoints.Agents?.Port);
        app.UseMonitoringOnly(endpoints.Monitoring?.Port);
        app.UseAccessGuard(key);
        app.MapApi();
        app.MapSeries(app.Services.GetRequiredService<ITrainingCluster>().Simulated).AddSeriesFilter();
        app.MapGet($"/{ControlFile.Name}", (HttpContext context) => endpoints.Public?.Is(context) == true
            ? control with { Http = PublicDoor.AddressOf(context.Request), Grpc = PublicDoor.AddressOf(context.Request) } : control);
        app.MapDashboard();
        return app;
    }
}
