using DeepSeekOps.ControlPlane.Storage.Audit;
using DeepSeekOps.ControlPlane.Storage.Backups;
using DeepSeekOps.ControlPlane.Storage.ExpertLoads;
using DeepSeekOps.ControlPlane.Storage.Orleans;
using DeepSeekOps.ControlPlane.Storage.People;
using DeepSeekOps.ControlPlane.Storage.Series;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.EntityFrameworkCore;
using Orleans.Configuration;
using Orleans.Hosting;
using Orleans.Storage;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>The database that a start found, or made.</summary>
public sealed record StoreFound(string Identity, bool KnowsRuns);

/// <summary>Puts the room into a host: the ledger's writers and readers, and Orleans on the same database.</summary>
public static class StorageHosting
{
    /// <summary>Makes or upgrades the tables; on the embedded database also forgets the silos of earlier processes.</summary>
    /// <exception cref="OpsDatabaseException">The database is not there or refuses; the message says what to do.</exception>
    public static async Task<StoreFound> Prepare(OpsDatabase database, CancellationToken cancellation)
    {
        await using var connections = new OpsConnections(database);
        await connections.Migrate(cancellation);
        await connections.Usable(async () =>
        {
            await RunListFill.Run(connections, cancellation);
            return true;
        });
        return await connections.Usable(() => Found(connections, cancellation));
    }

    /// <summary>
    /// For who holds the database alone: whoever else is in the table of silos is dead, or was let go of. A silo that had to find that out
    /// by itself would ask the dead for up to a minute.
    /// </summary>
    public static async Task ForgetSilos(OpsDatabase database, CancellationToken cancellation)
    {
        await using var connections = new OpsConnections(database);
        await using var connection = await connections.Open(cancellation);
        await OpsMembership.Purge(connection);
    }

    /// <summary>Gives a copied database a name of its own.</summary>
    public static async Task<string> Rename(OpsDatabase database, CancellationToken cancellation)
    {
        await using var connections = new OpsConnections(database);
        return await StoreIdentity.Renew(connections, cancellation);
    }

    private static async Task<StoreFound> Found(OpsConnections connections, CancellationToken cancellation)
    {
        if (connections.Database is OpsDatabase.Sqlite)
        {
            // The data directory's lock makes this process the only one, so whoever is in the table is dead.
            await using var connection = await connections.Open(cancellation);
            await OpsMembership.Purge(connection);
        }

        await using var context = connections.Context();
        return new StoreFound(await StoreIdentity.Read(connections, cancellation), await context.Runs.AnyAsync(cancellation));
    }

    public static IServiceCollection AddStorage(this IServiceCollection services, OpsDatabase database)
    {
        services.TryAddSingleton(TimeProvider.System);
        return services.AddRooms(database);
    }

    private static IServiceCollection AddRooms(this IServiceCollection services, OpsDatabase database) => services
        .AddSingleton(database)
        .AddSingleton<OpsConnections>()
        .AddSingleton<StoreWatch>()
        .AddSingleton<WriteLanes>()
        .AddHostedService<StoreProbe>()
        .AddSingleton<ChangeFeed>()
        .AddSingleton<EventWriter>()
        .AddSingleton<RunRegistry>()
        .AddSingleton<CheckpointRegistry>()
        .AddSingleton<LogStore>()
        .AddSingleton<HistoryQueries>()
        .AddSingleton<RunListQueries>()
        .AddSingleton<LogQueries>()
        .AddSingleton<IncidentStore>()
        .AddSingleton<TraceStore>()
        .AddSingleton<RunArchive>()
        .AddSingleton<AuditLog>()
        .AddSingleton<AccessTokens>()
        .AddSingleton<ExpertLoadWriter>()
        .AddSingleton<ExpertLoadQueries>()
        .AddSingleton<LiveSeries>()
        .AddSingleton<MetricWriter>()
        .AddSingleton<SeriesQueries>();

    /// <summary>Membership, reminders and grain state on the ledger's database. <see cref="AddStorage"/> goes first.</summary>
    public static ISiloBuilder UseOpsStorage(this ISiloBuilder silo)
    {
        silo.Services.AddSingleton<IMembershipTable, OpsMembership>();
        silo.Services.AddSingleton<IReminderTable, OpsReminders>();
        silo.AddReminders();
        // Orleans asks for the default storage by key and without one.
        silo.Services.AddSingleton<OpsGrainStorage>();
        silo.Services.AddSingleton<IGrainStorage>(services => services.GetRequiredService<OpsGrainStorage>());
        silo.Services.AddKeyedSingleton<IGrainStorage>("Default", (services, _) => services.GetRequiredService<OpsGrainStorage>());
        return silo.Configure<ClusterMembershipOptions>(options =>
        {
            // Who is lost, the database tells within seconds (LostSilos). What probes alone can find is a silo that is cut off from the
            // others and not from the database: they need 6 × 5 s for it, as long as a call waits. Silos that only are busy answer in it.
            options.ProbeTimeout = TimeSpan.FromSeconds(5);
            options.MaxProbeTimeout = TimeSpan.FromSeconds(5);
            options.NumMissedProbesLimit = 6;
            options.NumVotesForDeathDeclaration = 2;
            options.TableRefreshTimeout = TimeSpan.FromSeconds(10);
            options.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(5);
            options.DefunctSiloExpiration = TimeSpan.FromHours(1);
        });
    }
}
