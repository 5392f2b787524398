using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>Opens connections and contexts on the chosen database.</summary>
public sealed class OpsConnections : IAsyncDisposable
{
    private readonly NpgsqlDataSource? postgres;

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
        pragmas.CommandText = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=30000;";
        await pragmas.ExecuteNonQueryAsync(cancellation);
        return connection;
    }

    /// <summary>A context for reading; nothing is tracked.</summary>
    public OpsDb Context() => Database switch
    {
        OpsDatabase.Sqlite sqlite => new SqliteOpsDb(new DbContextOptionsBuilder<SqliteOpsDb>()
            .UseSqlite(sqlite.ConnectionString).UseSnakeCaseNamingConvention()
            .UseQueryTrackingBehavior(QueryTrackingBehavior.NoTracking).Options),
        _ => new PostgresOpsDb(new DbContextOptionsBuilder<PostgresOpsDb>()
            .UseNpgsql(postgres!).UseSnakeCaseNamingConvention()
            .UseQueryTrackingBehavior(QueryTrackingBehavior.NoTracking).Options),
    };

    /// <summary>Makes or upgrades the tables.</summary>
    /// <exception cref="OpsDatabaseException">The database is not there or refuses; the message says what to do.</exception>
    public async Task Migrate(CancellationToken cancellation)
    {
        try
        {
            await using var context = Context();
            await context.Database.MigrateAsync(cancellation);
        }
        catch (Exception e) when (e is DbException or InvalidOperationException { InnerException: DbException } or TimeoutException)
        {
            throw new OpsDatabaseException(Advice(e.InnerException as DbException ?? e), e);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (postgres is not null)
        {
            await postgres.DisposeAsync();
        }
    }

    private string Advice(Exception e) => Database switch
    {
        OpsDatabase.Sqlite sqlite => $"The database file {sqlite.Path} cannot be used: {e.Message}. Check that its folder is writable, or name another --data-dir.",
        OpsDatabase.Postgres chosen => $"PostgreSQL at {chosen.Address} cannot be used: {e.Message.ReplaceLineEndings(" ")}. "
            + "Start it, or mend --database; without --database the embedded database is used.",
        _ => e.Message,
    };
}
