using System.Collections.Immutable;
using System.Data.Common;
using System.Globalization;
using DeepSeekOps.Decisions.Doctor;
using DeepSeekOps.Decisions.Health;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>Looks at a database before anybody works on it, or while somebody does. Nothing in it is changed.</summary>
internal static class StoreExamination
{
    internal const string History = "__EFMigrationsHistory";

    /// <summary>Of a server that does not answer: a person waits.</summary>
    private const int PatienceSeconds = 5;

    /// <summary>Server and session in one round, with its time: what the round took bounds how wrong that is.</summary>
    private const string Server = """
        SELECT clock_timestamp(), current_setting('server_version'), current_setting('server_version_num')::int,
        COALESCE(current_schema(), ''), current_user::text,
        COALESCE(has_schema_privilege(current_user, current_schema(), 'CREATE'), false),
        pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on',
        current_setting('max_connections')::int, current_setting('superuser_reserved_connections')::int,
        (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend'),
        (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND ((classid::bigint << 32) | objid::bigint) = @key)
        """;

    /// <param name="clock">Of this machine.</param>
    /// <returns>With it the database's own word and whether it knows runs; null where it has no tables.</returns>
    public static async Task<(DatabaseFacts Facts, string? Identity, bool KnowsRuns)> Run(
        OpsDatabase database, TimeProvider clock, CancellationToken cancellation)
    {
        try
        {
            return database is OpsDatabase.Postgres postgres ? await Postgres(postgres, clock, cancellation)
                : await Sqlite((OpsDatabase.Sqlite)database, cancellation);
        }
        catch (Exception e) when (StoreFailure.IsOne(e))
        {
            string place = PlaceOf(database);
            string said = e.GetBaseException().Message.ReplaceLineEndings(" ").TrimEnd('.');
            var trouble = StoreFailure.Of(e, database)
                ?? new StoreTrouble($"{place} refuses ({said})", "Look at its own log, and at --database.");
            return (new DatabaseFacts(place, database is OpsDatabase.Sqlite) { Trouble = trouble }, null, false);
        }
    }

    public static string PlaceOf(OpsDatabase database) => database switch
    {
        OpsDatabase.Postgres postgres => $"PostgreSQL at {postgres.Address}",
        OpsDatabase.Sqlite sqlite => sqlite.Path,
        _ => database.Kind,
    };

    private static async Task<(DatabaseFacts Facts, string? Identity, bool KnowsRuns)> Postgres(
        OpsDatabase.Postgres database, TimeProvider clock, CancellationToken cancellation)
    {
        var text = new NpgsqlConnectionStringBuilder(database.ConnectionString)
        {
            Pooling = false, ApplicationName = "dsops doctor", Timeout = PatienceSeconds, CommandTimeout = PatienceSeconds,
        };
        await using var connection = new NpgsqlConnection(text.ConnectionString);
        await connection.OpenAsync(cancellation);
        await using var command = new NpgsqlCommand(Server, connection);
        command.Parameters.AddWithValue("key", PostgresHold.LockKey);
        var before = clock.GetUtcNow();
        long began = clock.GetTimestamp();
        await using var row = await command.ExecuteReaderAsync(cancellation);
        await row.ReadAsync(cancellation);
        var half = clock.GetElapsedTime(began) / 2;
        int held = row.GetInt32(10);
        var facts = new DatabaseFacts(PlaceOf(database), Embedded: false)
        {
            Clock = new ClockOffset(new DateTimeOffset(row.GetDateTime(0), TimeSpan.Zero) - (before + half), half),
            Version = row.GetString(1).Split(' ')[0], VersionNumber = row.GetInt32(2), Schema = row.GetString(3), User = row.GetString(4),
            CanCreate = row.GetBoolean(5), ReadOnly = row.GetBoolean(6), ConnectionsMax = row.GetInt32(7),
            ConnectionsReserved = row.GetInt32(8), ConnectionsUsed = row.GetInt32(9) - 1,
        };
        await row.DisposeAsync();
        var found = await Tables(connection, "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()",
            facts, database, cancellation);
        string holder = held == 0 || found.Facts.Applied == 0 ? ""
            : (await Words(connection, "SELECT holder FROM store WHERE id = 1", cancellation)).FirstOrDefault() ?? "";
        return (found.Facts with { Holder = held == 0 ? null : holder.Length > 0 ? holder : "it has not said who it is" }, found.Identity,
            found.KnowsRuns);
    }

    private static async Task<(DatabaseFacts Facts, string? Identity, bool KnowsRuns)> Sqlite(
        OpsDatabase.Sqlite database, CancellationToken cancellation)
    {
        var facts = new DatabaseFacts(database.Path, Embedded: true);
        if (!File.Exists(database.Path))
        {
            return (facts with { NotMade = true }, null, false);
        }

        // Not pooled: a connection that stays open would keep the file's log from being taken away.
        await using var connection = new SqliteConnection($"Data Source={database.Path};Mode=ReadOnly;Pooling=False;Default Timeout=3");
        await connection.OpenAsync(cancellation);
        facts = facts with { Version = connection.ServerVersion };
        return await Tables(connection, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'", facts, database,
            cancellation);
    }

    private static async Task<(DatabaseFacts Facts, string? Identity, bool KnowsRuns)> Tables(
        DbConnection connection, string list, DatabaseFacts facts, OpsDatabase database, CancellationToken cancellation)
    {
        var there = (await Words(connection, list, cancellation)).ToHashSet(StringComparer.Ordinal);
        await using var connections = new OpsConnections(database);
        await using var context = connections.Context();
        var known = context.Database.GetMigrations().ToList();
        var ours = context.Model.GetEntityTypes().Select(t => t.GetTableName()).OfType<string>().ToHashSet(StringComparer.Ordinal);
        var applied = there.Contains(History)
            ? await Words(connection, $"SELECT * FROM \"{History}\" ORDER BY 1", cancellation) : [];
        facts = facts with
        {
            Applied = applied.Count,
            Newer = [.. applied.Except(known, StringComparer.Ordinal)],
            Pending = applied.Count == 0 ? [] : [.. known.Except(applied, StringComparer.Ordinal)],
            Foreign = applied.Count > 0 ? [] : [.. there.Where(ours.Contains).Order(StringComparer.Ordinal)],
        };
        return applied.Count == 0 || !there.Contains("store") || !there.Contains("run") ? (facts, null, false)
            : (facts, (await Words(connection, "SELECT identity FROM store WHERE id = 1", cancellation)).FirstOrDefault(),
                (await Words(connection, "SELECT name FROM run LIMIT 1", cancellation)).Count > 0);
    }

    private static async Task<List<string>> Words(DbConnection connection, string query, CancellationToken cancellation)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = query;
        var found = new List<string>();
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        while (await rows.ReadAsync(cancellation))
        {
            found.Add(Convert.ToString(rows.GetValue(0), CultureInfo.InvariantCulture) ?? "");
        }

        return found;
    }
}
