using System.Collections.Immutable;
using System.Data;
using System.Data.Common;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using DeepSeekOps.Decisions.Backups;
using DeepSeekOps.Decisions.Checkpoints;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace DeepSeekOps.ControlPlane.Storage.Backups;

/// <summary>
/// Writes what a database holds into a file, as it is at one moment, while others write on: SQLite's readers see the log as it was when
/// they began, and PostgreSQL's as well in a transaction that is repeatable. Nothing is locked and nothing in the database is changed.
/// </summary>
internal static class StoreBackup
{
    /// <summary>Of a file that somebody holds the lock of for a moment.</summary>
    private const int PatienceSeconds = 10;

    /// <param name="version">Of this program.</param>
    /// <exception cref="BackupUnusableException">Its tables are not those of this program.</exception>
    public static async Task<BackupManifest> Write(
        OpsDatabase database, Stream file, string version, TimeProvider clock, CancellationToken cancellation)
    {
        await using var connections = new OpsConnections(database);
        await using var context = connections.Context();
        await using var connection = await Open(database, cancellation);
        await using var snapshot = connection is SqliteConnection sqlite ? sqlite.BeginTransaction(deferred: true)
            : await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellation);
        var source = new Source(connection, snapshot);
        var migrations = await Migrations(source, context, cancellation);
        var made = clock.GetUtcNow();
        file.Write(BackupFile.FirstLine);
        var parts = ImmutableArray.CreateBuilder<BackupPart>();
        foreach (var table in BackupTable.All(context))
        {
            parts.Add(await Part(source, table, file, cancellation));
        }

        var manifest = new BackupManifest(BackupFile.Format, version, made, database.Kind, StoreExamination.PlaceOf(database),
            await source.Word("SELECT identity FROM store WHERE id = 1", cancellation), migrations,
            await source.Word("SELECT sealed_by FROM audit_head WHERE id = 1", cancellation),
            await source.Count("SELECT COUNT(*) FROM run", cancellation), await source.Count(Unfinished, cancellation),
            await Checkpoints(source, cancellation), parts.ToImmutable());
        using var last = new PartWriter(file, BackupFile.ManifestName);
        await using (var content = new BrotliStream(last, CompressionLevel.Fastest, leaveOpen: true))
        {
            await content.WriteAsync(Encoding.UTF8.GetBytes(LedgerJson.Write(manifest)), cancellation);
        }

        last.End();
        return manifest;
    }

    private const string Unfinished = "SELECT COUNT(*) FROM run WHERE state NOT IN ('completed', 'failed', 'cancelled')";

    private static async Task<DbConnection> Open(OpsDatabase database, CancellationToken cancellation)
    {
        DbConnection connection = database is OpsDatabase.Postgres postgres
            ? new NpgsqlConnection(new NpgsqlConnectionStringBuilder(postgres.ConnectionString)
            {
                // A large table may take longer to be read than a page's query may.
                Pooling = false, CommandTimeout = 0, ApplicationName = "dsops backup",
            }.ConnectionString)
            : new SqliteConnection($"Data Source={((OpsDatabase.Sqlite)database).Path};Mode=ReadOnly;Pooling=False;"
                + FormattableString.Invariant($"Default Timeout={PatienceSeconds}"));
        try
        {
            await connection.OpenAsync(cancellation);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>Without the time of their making: "20261128200512_EventsByTime" is "EventsByTime".</summary>
    internal static string NameOf(string migration) => migration[(migration.IndexOf('_', StringComparison.Ordinal) + 1)..];

    private static async Task<ImmutableArray<string>> Migrations(Source source, OpsDb context, CancellationToken cancellation)
    {
        string[] known = [.. context.Database.GetMigrations()];
        var applied = new List<string>();
        await source.Each($"SELECT * FROM \"{StoreExamination.History}\" ORDER BY 1", row => applied.Add(row.GetString(0)), cancellation);
        return applied.SequenceEqual(known) ? [.. applied.Select(NameOf)] : throw new BackupUnusableException(
            applied.Count > known.Length ? "the database was changed by a newer version of dsops than this one"
                : "the database has not yet the tables of this version of dsops",
            "Take the backup with the version of dsops that works on it.");
    }

    private static async Task<BackupPart> Part(Source source, BackupTable table, Stream file, CancellationToken cancellation)
    {
        using var part = new PartWriter(file, table.Name);
        long rows;
        await using (var content = new BrotliStream(part, CompressionLevel.Fastest, leaveOpen: true))
        {
            using var writer = new RowWriter(content, table);
            await source.Each($"SELECT {table.Listed} FROM \"{table.Name}\"", writer.Write, cancellation);
            writer.End();
            rows = writer.Rows;
        }

        return new BackupPart(table.Name, rows, part.End());
    }

    private static async Task<ImmutableArray<NamedCheckpoint>> Checkpoints(Source source, CancellationToken cancellation)
    {
        var named = ImmutableArray.CreateBuilder<NamedCheckpoint>();
        await source.Each("SELECT run, stage, body FROM checkpoint WHERE state IN ('Good', 'Final', 'Pinned') ORDER BY run, stage, step",
            row =>
            {
                var made = LedgerJson.Read<StageCheckpoint>(row.GetString(2));
                named.Add(new NamedCheckpoint(row.GetString(0), row.GetString(1), made.Made.Step, made.Made.Path, made.Made.Digest,
                    made.Made.Bytes, made.Stored?.Uri));
            }, cancellation);
        return named.ToImmutable();
    }

    /// <summary>The database at one moment.</summary>
    private sealed class Source(DbConnection connection, DbTransaction snapshot)
    {
        public async Task Each(string query, Action<DbDataReader> read, CancellationToken cancellation)
        {
            await using var command = connection.CreateCommand();
            (command.CommandText, command.Transaction) = (query, snapshot);
            await using var rows = await command.ExecuteReaderAsync(cancellation);
            while (await rows.ReadAsync(cancellation))
            {
                read(rows);
            }
        }

        public async Task<string> Word(string query, CancellationToken cancellation)
        {
            string word = "";
            await Each(query, row => word = row.GetString(0), cancellation);
            return word;
        }

        public async Task<int> Count(string query, CancellationToken cancellation)
        {
            await using var command = connection.CreateCommand();
            (command.CommandText, command.Transaction) = (query, snapshot);
            return Convert.ToInt32(await command.ExecuteScalarAsync(cancellation), CultureInfo.InvariantCulture);
        }
    }
}
