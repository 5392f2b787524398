using System.Data.Common;
using DeepSeekOps.Decisions.Health;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>Opens connections and contexts on the chosen database.</summary>
public sealed class OpsConnections : IAsyncDisposable
{
    private readonly NpgsqlDataSource? postgres;
    private FileWitness? witness;

    public OpsConnections(OpsDatabase database)
    {
        Database = database;
        postgres = database is OpsDatabase.Postgres chosen ? NpgsqlDataSource.Create(chosen.ConnectionString) : null;
    }

    public OpsDatabase Database { get; }

    /// <summary>An open connection. On SQLite every commit is on the disk before it returns (WAL, synchronous FULL).</summary>
    public async Task<DbConnection> Open(CancellationToken cancellation)
    {
        if (postgres is not null)
        {
            return await postgres.OpenConnectionAsync(cancellation);
        }

        var connection = new SqliteConnection(((OpsDatabase.Sqlite)Database).ConnectionString);
        await connection.OpenAsync(cancellation);
        await using var pragmas = connection.CreateCommand();
        pragmas.CommandText = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=10000;";
        await pragmas.ExecuteNonQueryAsync(cancellation);
        return connection;
    }

    /// <summary>A context for reading; nothing is tracked.</summary>
    public OpsDb Context() => Context(creates: false);

    private OpsDb Context(bool creates) => Database switch
    {
        OpsDatabase.Sqlite sqlite => new SqliteOpsDb(new DbContextOptionsBuilder<SqliteOpsDb>()
            .UseSqlite(creates ? sqlite.CreatingConnectionString : sqlite.ConnectionString).UseSnakeCaseNamingConvention()
            .UseQueryTrackingBehavior(QueryTrackingBehavior.NoTracking).Options),
        _ => new PostgresOpsDb(new DbContextOptionsBuilder<PostgresOpsDb>()
            .UseNpgsql(postgres!).UseSnakeCaseNamingConvention()
            .UseQueryTrackingBehavior(QueryTrackingBehavior.NoTracking).Options),
    };

    /// <summary>Makes or upgrades the tables.</summary>
    /// <exception cref="OpsDatabaseException">The database is not there or refuses; the message says what to do.</exception>
    public Task Migrate(CancellationToken cancellation) => Usable(async () =>
    {
        await using var context = Context(creates: true);
        await context.Database.MigrateAsync(cancellation);
        return true;
    });

    /// <summary>For what a start needs of the database: what fails is told in words.</summary>
    /// <exception cref="OpsDatabaseException">The database is not there or refuses; the message says what to do.</exception>
    internal async Task<T> Usable<T>(Func<Task<T>> work)
    {
        try
        {
            return await work();
        }
        catch (Exception e)
            when (e is DbException or InvalidOperationException { InnerException: DbException } or TimeoutException or IOException)
        {
            throw Unusable(e);
        }
    }

    /// <summary>Null where there is no file, or no system that tells of it.</summary>
    internal FileWitness? Witness() => witness ??= Database is OpsDatabase.Sqlite sqlite ? FileWitness.Of(sqlite.Path) : null;

    public async ValueTask DisposeAsync()
    {
        witness?.Dispose();
        if (postgres is not null)
        {
            await postgres.DisposeAsync();
        }
    }

    /// <summary>The words fit the cause: a corrupt file is not mended by free space.</summary>
    private OpsDatabaseException Unusable(Exception e)
    {
        string shown = e.GetBaseException().Message.ReplaceLineEndings(" ").TrimEnd('.');
        var trouble = StoreFailure.Of(e, Database) ?? Database switch
        {
            OpsDatabase.Postgres postgres =>
                new StoreTrouble($"PostgreSQL at {postgres.Address} refuses ({shown})", "Look at its own log, and at --database."),
            _ => new StoreTrouble($"{(Database as OpsDatabase.Sqlite)?.Path} cannot be used ({shown})",
                "Put a backup of the file in its place."),
        };
        return new OpsDatabaseException(trouble, e);
    }
}
