using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.Telemetry;

/// <summary>Marks what answers at the port for monitoring.</summary>
internal sealed class ForMonitoring;

internal static class MonitoringPort
{
    /// <summary>
    /// A port that a Prometheus on another machine reaches is for metrics and probes: no page, no call, whatever is shown.
    /// </summary>
    /// <param name="port">Null: there is no such port.</param>
    public static void UseMonitoringOnly(this WebApplication app, int? port) => app.Use((context, next) =>
        port is null || context.Connection.LocalPort != port || context.GetEndpoint()?.Metadata.GetMetadata<ForMonitoring>() is not null
            ? next(context)
            : HostFilter.Refuse(context, StatusCode.PermissionDenied, "Only /metrics, /livez, /readyz and /healthz are answered here; "
                + "people and programs use the address of the dashboard, on the machine of the control plane."));
}
