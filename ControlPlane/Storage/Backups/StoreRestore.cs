using System.Collections.Immutable;
using System.Data.Common;
using System.Globalization;
using DeepSeekOps.ControlPlane.Storage.Audit;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.Backups;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql;
using NpgsqlTypes;

namespace DeepSeekOps.ControlPlane.Storage.Backups;

/// <summary>What becomes of a backup beside its rows.</summary>
/// <param name="StateName">Of the grain states that are changed.</param>
/// <param name="Change">Of such a state, as it is stored; the same array where nothing is to be changed.</param>
/// <param name="Act">For the audit log.</param>
/// <param name="Seal">What it is sealed with. Null: no key is at hand, and no line is written.</param>
internal sealed record RestoreChanges(string StateName, Func<byte[], byte[]> Change, AuditAct Act, AuditSeal? Seal);

/// <summary>
/// Makes a database of a backup, in one transaction: its tables as they were in the version that wrote it, its rows, then the changes of
/// later versions, as an upgrade makes them. It has a new identity, and nothing of who was there.
/// </summary>
internal sealed class StoreRestore(OpsDatabase database) : IDisposable
{
    private const string Tables = "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema()";

    private readonly OpsConnections connections = new(database);

    public void Dispose() => connections.DisposeAsync().AsTask().GetAwaiter().GetResult();

    /// <summary>Whether this program knows all that the backup has been through; before anything is made.</summary>
    /// <exception cref="BackupUnusableException">It does not.</exception>
    public void Demand(BackupManifest manifest)
    {
        using var context = connections.Context();
        string[] known = [.. context.Database.GetMigrations().Select(StoreSnapshot.NameOf)];
        if (!known.AsSpan().StartsWith(manifest.Migrations.AsSpan()) || manifest.Migrations.IsEmpty)
        {
            throw new BackupUnusableException($"it was written by a newer dsops ({manifest.Version}), whose tables this one does not know",
                "Restore it with that version.");
        }
    }

    /// <returns>The identity of the new database.</returns>
    /// <exception cref="BackupUnusableException">The database has tables already, or the file is damaged.</exception>
    public async Task<string> Run(BackupReader backup, BackupManifest manifest, RestoreChanges changes, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var script = context.GetService<IMigrator>();
        string[] known = [.. context.Database.GetMigrations()];
        string then = known[manifest.Migrations.Length - 1];
        await using var connection = await Open(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await DemandEmpty(connection, transaction, cancellation);
        await Execute(connection, transaction, script.GenerateScript(null, then, MigrationsSqlGenerationOptions.NoTransactions),
            cancellation);
        await backup.Tables((name, rows) => Load(connection, transaction, name, rows, cancellation), cancellation);
        if (then != known[^1])
        {
            await Execute(connection, transaction, script.GenerateScript(then, null, MigrationsSqlGenerationOptions.NoTransactions),
                cancellation);
        }

        string identity = Guid.CreateVersion7().ToString("N");
        await Execute(connection, transaction, "INSERT INTO store (id, identity, beats, holder) VALUES (1, @identity, 0, '')", cancellation,
            ("identity", identity));
        await Change(connection, transaction, changes, cancellation);
        if (changes.Seal is not null)
        {
            await AuditLog.Append([changes.Act], changes.Seal, connection, transaction);
        }

        await transaction.CommitAsync(cancellation);
        return identity;
    }

    private async Task<DbConnection> Open(CancellationToken cancellation)
    {
        DbConnection connection = database is OpsDatabase.Postgres postgres
            ? new NpgsqlConnection(new NpgsqlConnectionStringBuilder(postgres.ConnectionString)
            {
                Pooling = false, CommandTimeout = 0, ApplicationName = "dsops restore",
            }.ConnectionString)
            : new SqliteConnection($"Data Source={((OpsDatabase.Sqlite)database).Path};Pooling=False");
        try
        {
            await connection.OpenAsync(cancellation);
            if (connection is SqliteConnection)
            {
                // A file that nobody else has, and that is synced as a whole when it is done.
                await Execute(connection, null, "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;", cancellation);
            }

            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    private async Task DemandEmpty(DbConnection connection, DbTransaction transaction, CancellationToken cancellation)
    {
        if (database is not OpsDatabase.Postgres postgres)
        {
            return;
        }

        if (await Answer(connection, transaction, $"SELECT pg_try_advisory_xact_lock({PostgresHold.LockKey})", cancellation) is not true)
        {
            throw new BackupUnusableException($"a control plane works on PostgreSQL at {postgres.Address}",
                "Name an empty database: `createdb NAME`.");
        }

        long tables = Convert.ToInt64(await Answer(connection, transaction, Tables, cancellation), CultureInfo.InvariantCulture);
        if (tables > 0)
        {
            throw new BackupUnusableException($"the database of PostgreSQL at {postgres.Address} is not empty: it has {tables} tables",
                "Name an empty database: `createdb NAME`.");
        }
    }

    private static async Task Load(
        DbConnection connection, DbTransaction transaction, string name, RowReader rows, CancellationToken cancellation)
    {
        if (rows.Table.Name != name)
        {
            throw new InvalidDataException($"the part {name} is of the table {rows.Table.Name}");
        }

        // Some tables are made with a first row.
        await Execute(connection, transaction, $"DELETE FROM \"{name}\"", cancellation);
        if (connection is NpgsqlConnection npgsql)
        {
            await Copy(npgsql, rows, cancellation);
            return;
        }

        await using var insert = connection.CreateCommand();
        insert.Transaction = transaction;
        string[] values = [.. rows.Table.Columns.Select((_, i) => $"@v{i}")];
        insert.CommandText = $"INSERT INTO \"{name}\" ({rows.Table.Listed}) VALUES ({string.Join(", ", values)})";
        Array.ForEach(values, value => insert.Add(value, DBNull.Value));
        while (rows.Next() is { } row)
        {
            cancellation.ThrowIfCancellationRequested();
            for (int i = 0; i < row.Length; i++)
            {
                insert.Parameters[i].Value = row[i] ?? DBNull.Value;
            }

            await insert.ExecuteNonQueryAsync(cancellation);
        }
    }

    private static async Task Copy(NpgsqlConnection connection, RowReader rows, CancellationToken cancellation)
    {
        var types = rows.Table.Columns.Select(c => c.Kind switch
        {
            ColumnKind.Text => NpgsqlDbType.Text,
            ColumnKind.Int => NpgsqlDbType.Integer,
            ColumnKind.Long => NpgsqlDbType.Bigint,
            ColumnKind.Real => NpgsqlDbType.Double,
            ColumnKind.Moment => NpgsqlDbType.TimestampTz,
            _ => NpgsqlDbType.Bytea,
        }).ToArray();
        await using var copy = await connection.BeginBinaryImportAsync(
            $"COPY \"{rows.Table.Name}\" ({rows.Table.Listed}) FROM STDIN (FORMAT BINARY)", cancellation);
        while (rows.Next() is { } row)
        {
            await copy.StartRowAsync(cancellation);
            for (int i = 0; i < row.Length; i++)
            {
                await (row[i] is { } value ? copy.WriteAsync(value, types[i], cancellation) : copy.WriteNullAsync(cancellation));
            }
        }

        await copy.CompleteAsync(cancellation);
    }

    private static async Task Change(
        DbConnection connection, DbTransaction transaction, RestoreChanges changes, CancellationToken cancellation)
    {
        var found = new List<(string Grain, byte[] Payload)>();
        await using (var ask = connection.CreateCommand())
        {
            (ask.Transaction, ask.CommandText) = (transaction, "SELECT grain_id, payload FROM grain_state WHERE state_name = @name");
            ask.Add("name", changes.StateName);
            await using var rows = await ask.ExecuteReaderAsync(cancellation);
            while (await rows.ReadAsync(cancellation))
            {
                found.Add((rows.GetString(0), rows.GetFieldValue<byte[]>(1)));
            }
        }

        foreach (var (grain, payload) in found)
        {
            byte[] changed = changes.Change(payload);
            if (!ReferenceEquals(changed, payload))
            {
                await Execute(connection, transaction,
                    "UPDATE grain_state SET version = version + 1, payload = @payload WHERE state_name = @name AND grain_id = @grain",
                    cancellation, ("payload", changed), ("name", changes.StateName), ("grain", grain));
            }
        }
    }

    private static async Task<object?> Answer(
        DbConnection connection, DbTransaction transaction, string query, CancellationToken cancellation)
    {
        await using var command = connection.CreateCommand();
        (command.CommandText, command.Transaction) = (query, transaction);
        return await command.ExecuteScalarAsync(cancellation);
    }

    private static async Task Execute(DbConnection connection, DbTransaction? transaction, string sql, CancellationToken cancellation,
        params ImmutableArray<(string Name, object Value)> parameters)
    {
        await using var command = connection.CreateCommand();
        (command.CommandText, command.Transaction) = (sql, transaction);
        foreach (var (name, value) in parameters)
        {
            command.Add(name, value);
        }

        await command.ExecuteNonQueryAsync(cancellation);
    }
}
