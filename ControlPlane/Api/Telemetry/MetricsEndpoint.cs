using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.Decisions.People;

namespace DeepSeekOps.ControlPlane.Api.Telemetry;

/// <summary>
/// What a Prometheus scrapes. Several of them, or one that is impatient, cost one look a second.
/// </summary>
internal sealed class Scrape(Lookout lookout, MeterBook meters, TimeProvider clock)
{
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(1);

    private readonly Shared<string, string> told = new(clock, Fresh);

    public Task<string> Text() => told.Get("", 0, async _ =>
    {
        var seen = await lookout.Look();
        var text = new Exposition();
        foreach (var (family, points) in RunFamilies.All.Concat(HouseFamilies.All))
        {
            text.Write(family, points(seen));
        }

        meters.WriteTo(text);
        return text.ToString();
    });
}

internal static class MetricsEndpoint
{
    public static void AddTelemetry(this IServiceCollection services) => services
        .AddSingleton<CallMeter>().AddSingleton<MeterBook>().AddSingleton<Readiness>().AddSingleton<Lookout>().AddSingleton<Scrape>();

    /// <summary>It tells of all teams' runs; who may is asked by the gate.</summary>
    public static void MapMetrics(this IEndpointRouteBuilder routes) => routes.MapGet("/metrics",
        async (Scrape scrape) => Results.Text(await scrape.Text(), Exposition.ContentType))
        .WithMetadata(new ForMonitoring(), new NeededRight("metrics", new Need(Role.Viewer, Reach.EveryTeam)));
}
