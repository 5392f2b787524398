using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Grains;
using OpenTelemetry;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// Sends each recovery's trace by OTLP where the environment says to whom, in OpenTelemetry's own words (OTEL_EXPORTER_OTLP_*,
/// OTEL_SERVICE_NAME). Without them nothing is made and nothing is sent.
/// </summary>
internal static class TraceExport
{
    private const string Endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";

    public static void AddTraceExport(this IServiceCollection services)
    {
        if (Begin() is { } provider)
        {
            // Made by the container it is let go by it, and sends what it still has.
            services.AddSingleton(_ => provider);
            services.AddHostedService<Kept>();
        }
    }

    /// <summary>Null: the environment names nobody.</summary>
    internal static TracerProvider? Begin() => string.IsNullOrEmpty(Environment.GetEnvironmentVariable(Endpoint)) ? null
        : Sdk.CreateTracerProviderBuilder()
            .ConfigureResource(resource => resource
                .AddService("dsops", serviceVersion: ProgramVersion.Text).AddEnvironmentVariableDetector())
            .AddSource(RecoverySpans.Name).AddOtlpExporter().Build();

    /// <summary>What nobody asks for the container neither makes nor lets go.</summary>
    private sealed class Kept(TracerProvider provider) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken)
        {
            provider.ForceFlush(timeoutMilliseconds: 5_000);
            return Task.CompletedTask;
        }
    }
}
