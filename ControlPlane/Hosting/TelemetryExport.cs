using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Grains;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// Sends each recovery's trace, and the log, by OTLP where the environment says to whom, in OpenTelemetry's own words
/// (OTEL_EXPORTER_OTLP_*, OTEL_SERVICE_NAME; OTEL_TRACES_EXPORTER=none and OTEL_LOGS_EXPORTER=none: to nobody). Without them nothing is
/// made and nothing is sent.
/// </summary>
internal static class TelemetryExport
{
    private const string Endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private const string ServiceName = "OTEL_SERVICE_NAME";
    private const string DefaultName = "dsops";

    public static void AddTelemetryExport(this WebApplicationBuilder builder)
    {
        if (Begin() is [_, ..] providers)
        {
            // Made by the container they are let go by it, and send what they still have.
            builder.Services.AddSingleton(_ => new Traces(providers));
            builder.Services.AddHostedService<Kept>();
        }
    }

    /// <summary>One for each kind of who takes part in a recovery, as each is a service of its own there. Empty: nobody is named.</summary>
    internal static TracerProvider[] Begin() => !Wanted() ? [] :
    [
        Provider(RecoverySpans.Name, ""), Provider(RecoverySpans.AgentName, "-agent"), Provider(RecoverySpans.RankName, "-rank"),
    ];

    /// <summary>What stands in the log goes there too, with the trace that it was said in.</summary>
    public static void AddLogExport(this ILoggingBuilder logging)
    {
        if (!string.IsNullOrEmpty(Environment.GetEnvironmentVariable(Endpoint))
            && Environment.GetEnvironmentVariable("OTEL_LOGS_EXPORTER") is not "none")
        {
            // Made by the container it is let go by it, and sends what it still has.
            logging.Services.AddSingleton<ILoggerProvider>(_ => new Logs());
        }
    }

    private static bool Wanted() => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(Endpoint))
        && Environment.GetEnvironmentVariable("OTEL_TRACES_EXPORTER") is not "none";

    private static TracerProvider Provider(string source, string kind) => Sdk.CreateTracerProviderBuilder()
        .SetResourceBuilder(Resource(kind)).AddSource(source).AddOtlpExporter().Build();

    private static ResourceBuilder Resource(string kind)
    {
        string name = Environment.GetEnvironmentVariable(ServiceName) is { Length: > 0 } own ? own : DefaultName;
        return ResourceBuilder.CreateDefault().AddEnvironmentVariableDetector()
            .AddService($"{name}{kind}", serviceVersion: ProgramVersion.Text);
    }

    /// <summary>
    /// In a factory of its own, since OpenTelemetry reads its variables from the configuration of what it is added to, and this program's
    /// has none of the environment. What is worth a line the factory outside has decided.
    /// </summary>
    private sealed class Logs : ILoggerProvider
    {
        private readonly ILoggerFactory _factory = LoggerFactory.Create(logging => logging.SetMinimumLevel(LogLevel.Trace)
            .AddOpenTelemetry(options =>
            {
                options.IncludeFormattedMessage = true;
                options.SetResourceBuilder(Resource("")).AddOtlpExporter();
            }));

        public ILogger CreateLogger(string categoryName) => _factory.CreateLogger(categoryName);

        public void Dispose() => _factory.Dispose();
    }

    private sealed class Traces(TracerProvider[] all) : IDisposable
    {
        public void Flush() => Array.ForEach(all, one => one.ForceFlush(timeoutMilliseconds: 5_000));

        public void Dispose() => Array.ForEach(all, one => one.Dispose());
    }

    /// <summary>What nobody asks for the container neither makes nor lets go.</summary>
    private sealed class Kept(Traces traces) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken)
        {
            traces.Flush();
            return Task.CompletedTask;
        }
    }
}
