using System.Collections.Immutable;
using System.Data;
using System.Data.Common;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using DeepSeekOps.Decisions.Backups;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace DeepSeekOps.ControlPlane.Storage.Backups;

/// <summary>
/// A database at one moment, while others write on: SQLite's readers see the log as it was when they began, and PostgreSQL's as well in a
/// transaction that is repeatable. Nothing is locked and nothing in the database is changed.
/// </summary>
internal sealed class StoreSnapshot(DbConnection connection, DbTransaction snapshot) : IAsyncDisposable
{
    /// <summary>Of a file that somebody holds the lock of for a moment.</summary>
    private const int PatienceSeconds = 10;

    /// <param name="reader">As a server's list of sessions calls it.</param>
    public static async Task<StoreSnapshot> Open(OpsDatabase database, string reader, CancellationToken cancellation)
    {
        DbConnection connection = database is OpsDatabase.Postgres postgres
            ? new NpgsqlConnection(new NpgsqlConnectionStringBuilder(postgres.ConnectionString)
            {
                // A large table may take longer to be read than a page's query may.
                Pooling = false, CommandTimeout = 0, ApplicationName = reader,
            }.ConnectionString)
            : new SqliteConnection($"Data Source={((OpsDatabase.Sqlite)database).Path};Mode=ReadOnly;Pooling=False;"
                + FormattableString.Invariant($"Default Timeout={PatienceSeconds}"));
        try
        {
            await connection.OpenAsync(cancellation);
            return new StoreSnapshot(connection, connection is SqliteConnection sqlite ? sqlite.BeginTransaction(deferred: true)
                : await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellation));
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>Without the time of their making: "20261128200512_EventsByTime" is "EventsByTime".</summary>
    internal static string NameOf(string migration) => migration[(migration.IndexOf('_', StringComparison.Ordinal) + 1)..];

    /// <exception cref="BackupUnusableException">Its tables are not those of this program.</exception>
    public async Task<ImmutableArray<string>> Migrations(OpsDb context, CancellationToken cancellation)
    {
        string[] known = [.. context.Database.GetMigrations()];
        var applied = new List<string>();
        await Each($"SELECT * FROM \"{StoreExamination.History}\" ORDER BY 1", row => applied.Add(row.GetString(0)), cancellation);
        return applied.SequenceEqual(known) ? [.. applied.Select(NameOf)] : throw new BackupUnusableException(
            applied.Count > known.Length ? "the database was changed by a newer version of dsops than this one"
                : "the database has not yet the tables of this version of dsops",
            "Take the backup with the version of dsops that works on it.");
    }

    /// <summary>What a query answers, as a part of the file.</summary>
    public Task<BackupPart> Part(BackupTable table, string query, Stream file, CancellationToken cancellation,
        params (string Name, object Value)[] parameters) =>
        Part(table, file, writer => Each(query, writer.Write, cancellation, parameters));

    public static async Task<BackupPart> Part(BackupTable table, Stream file, Func<RowWriter, Task> write)
    {
        using var part = new PartWriter(file, table.Name);
        long rows;
        await using (var content = new BrotliStream(part, CompressionLevel.Fastest, leaveOpen: true))
        {
            using var writer = new RowWriter(content, table);
            await write(writer);
            writer.End();
            rows = writer.Rows;
        }

        return new BackupPart(table.Name, rows, part.End());
    }

    /// <summary>The last part of a file.</summary>
    public static async Task Manifest<T>(T manifest, Stream file, CancellationToken cancellation) where T : IListsParts
    {
        using var last = new PartWriter(file, BackupFile.ManifestName);
        await using (var content = new BrotliStream(last, CompressionLevel.Fastest, leaveOpen: true))
        {
            await content.WriteAsync(Encoding.UTF8.GetBytes(LedgerJson.Write(manifest)), cancellation);
        }

        last.End();
    }

    public async Task Each(string query, Action<DbDataReader> read, CancellationToken cancellation,
        params (string Name, object Value)[] parameters)
    {
        await using var command = connection.CreateCommand();
        (command.CommandText, command.Transaction) = (query, snapshot);
        foreach (var (name, value) in parameters)
        {
            command.Add(name, value);
        }

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

    public async ValueTask DisposeAsync()
    {
        await snapshot.DisposeAsync();
        await connection.DisposeAsync();
    }
}
