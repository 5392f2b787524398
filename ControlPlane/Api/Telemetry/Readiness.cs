using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Grains;

namespace DeepSeekOps.ControlPlane.Api.Telemetry;

/// <summary>One of the things without which nobody should be sent here.</summary>
/// <param name="Trouble">In words; empty: there is none.</param>
/// <param name="ForAnybody">The same for who showed no token: without folders and hosts.</param>
internal sealed record ReadinessCheck(string Name, string Trouble, string ForAnybody);

/// <summary>
/// Whether callers should be sent to this process. It may live and not be ready: then another one may be, and to end this one would help
/// nobody.
/// </summary>
internal sealed class Readiness(HealthBoard health, Standing standing, IHostApplicationLifetime lifetime)
{
    public ImmutableArray<ReadinessCheck> Checks =>
    [
        Check("process", lifetime.ApplicationStopping.IsCancellationRequested ? "It is stopping: its agents save and end."
            : !lifetime.ApplicationStarted.IsCancellationRequested ? "It is starting." : ""),
        Check("silo", standing.Speaks() ? ""
            : "It was silent for too long, and others may have taken over what it had: it waits for the database to say so."),
        health.StoreRefusal is { } words ? new ReadinessCheck("database", words, "It cannot be written; ask with a token for the reason.")
            : Check("database", ""),
    ];

    public bool Ready => Checks.All(c => c.Trouble.Length == 0);

    private static ReadinessCheck Check(string name, string trouble) => new(name, trouble, trouble);
}

internal static class ProbeEndpoints
{
    /// <summary>
    /// /livez: it answers, whatever else is away; a process that does not is to be started anew. /readyz: 503 with the reason of whatever
    /// is missing; callers are to be sent elsewhere meanwhile.
    /// </summary>
    public static void MapProbes(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/livez", () => Results.Text("ok\n")).WithMetadata(new OpenToAll(), new ForMonitoring());
        routes.MapGet("/readyz", (Readiness readiness, HttpContext context) =>
        {
            bool person = AccessGuard.IsPerson(context);
            var checks = readiness.Checks;
            bool ready = checks.All(c => c.Trouble.Length == 0);
            string lines = string.Concat(checks.Select(
                c => $"{c.Name}: {(c.Trouble.Length == 0 ? "ok" : person ? c.Trouble : c.ForAnybody)}\n"));
            return Results.Text($"{(ready ? "ready" : "not ready")}\n{lines}",
                statusCode: ready ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable);
        }).WithMetadata(new OpenToAll(), new ForMonitoring());
    }
}
