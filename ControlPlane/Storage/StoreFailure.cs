using System.Data.Common;
using System.Net.Sockets;
using DeepSeekOps.Decisions.Health;
using Microsoft.Data.Sqlite;
using Npgsql;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>What a database's exception means to a person. A statement's own mistake is none of the database's troubles.</summary>
internal static class StoreFailure
{
    /// <summary>SQLite cannot grow a file by less; on a disk with less it speaks of I/O errors as well as of a full disk.</summary>
    private const long FreeBytesMin = 1 << 20;

    /// <summary>
    /// What reading or writing ends in where the database or what it holds is to blame. Whoever works on for others catches these: a name
    /// that cannot be resolved and a damaged row are one caller's trouble, as a lost connection is.
    /// </summary>
    public static bool IsOne(Exception failure) => failure is DbException or IOException or InvalidDataException
        or InvalidOperationException or TimeoutException or SocketException;

    /// <summary>Null: the database is well, the statement was not.</summary>
    public static StoreTrouble? Of(Exception failure, OpsDatabase database) => database switch
    {
        OpsDatabase.Sqlite sqlite => OfSqlite(failure, sqlite),
        OpsDatabase.Postgres postgres => OfPostgres(failure, postgres),
        _ => null,
    };

    private static StoreTrouble? OfSqlite(Exception failure, OpsDatabase.Sqlite database)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(database.Path)) ?? database.Path;
        // Primary codes of sqlite.org/rescode.html.
        return Inner<SqliteException>(failure) switch
        {
            { SqliteErrorCode: 13 } => DiskFull(folder),
            { SqliteErrorCode: 10 or 14 } when FreeBytes(folder) < FreeBytesMin => DiskFull(folder),
            { SqliteErrorCode: 5 or 6 } =>
                Passing($"another program keeps {database.Path} locked", "End the program that has it open."),
            { SqliteErrorCode: 8 } => Passing($"{database.Path} or its folder is read-only", "Make both writable again."),
            { SqliteErrorCode: 11 } broken =>
                new($"{database.Path} is damaged ({Plain(broken)})", "Stop the control plane and put a backup of the file in its place."),
            { SqliteErrorCode: 26 } =>
                new($"{database.Path} is not a database", "Stop the control plane and put a backup of the file in its place."),
            { SqliteErrorCode: 14 } =>
                new($"{database.Path} cannot be opened", "Check that the file and its folder are there and writable."),
            { SqliteErrorCode: 10 } io => new($"reading or writing {database.Path} fails ({Plain(io)})", "Check the disk that it is on."),
            { SqliteErrorCode: 7 or 3 or 23 } other =>
                new($"{database.Path} cannot be used ({Plain(other)})", "Check the machine's memory and the file's rights."),
            _ => Away(failure) ? new($"{database.Path} gives no answer ({Words(failure)})", "Check the disk that it is on.") : null,
        };
    }

    private static StoreTrouble? OfPostgres(Exception failure, OpsDatabase.Postgres database) => Inner<PostgresException>(failure) switch
    {
        { SqlState: "53100" } => Passing($"the disk of PostgreSQL at {database.Address} is full", "Free space there."),
        { SqlState: "53300" } =>
            new($"PostgreSQL at {database.Address} has no connection left", "End other clients of it, or raise its max_connections."),
        { SqlState: "25006" } =>
            new($"PostgreSQL at {database.Address} is read-only (a standby?)", "Name the primary server with --database."),
        { SqlState: "57P03" } => Passing($"PostgreSQL at {database.Address} is starting or stopping", "Wait for it."),
        { SqlState: "28P01" or "28000" } =>
            new($"PostgreSQL at {database.Address} refuses the user or the password", "Correct them in --database."),
        { SqlState: "3D000" } =>
            new($"PostgreSQL at {database.Address} has no such database", "Make it with `createdb`, or correct --database."),
        { SqlState: "55P03" } =>
            Passing($"another program keeps a table of PostgreSQL at {database.Address} locked", "End its transaction."),
        { SqlState: ['0', '8', ..] or ['5', '3', ..] or ['5', '7', ..] or ['5', '8', ..] or ['X', 'X', ..] } other =>
            new($"PostgreSQL at {database.Address} says: {other.MessageText.TrimEnd('.')}", "Look at its own log."),
        { } => null,
        null when Inner<SocketException>(failure) is { SocketErrorCode: SocketError.ConnectionRefused } =>
            Passing($"nothing answers at {database.Address} (connection refused)", "Start PostgreSQL."),
        null => Away(failure)
            ? Passing($"PostgreSQL at {database.Address} gives no answer ({Words(failure)})", "Start it or look at its own log.") : null,
    };

    private static StoreTrouble DiskFull(string folder) => Passing($"the disk is full under {folder}", "Free space there.");

    private static StoreTrouble Passing(string why, string fix) => new(why, fix) { Passes = true };

    /// <summary>Connections that break and answers that do not come.</summary>
    private static bool Away(Exception failure) =>
        failure is TimeoutException or IOException or SocketException or NpgsqlException
            || (failure.InnerException is { } inner && Away(inner));

    private static T? Inner<T>(Exception failure)
        where T : Exception => failure as T ?? (failure.InnerException is { } inner ? Inner<T>(inner) : null);

    /// <summary>"SQLite Error 10: 'disk I/O error'." as "disk I/O error".</summary>
    private static string Plain(SqliteException failure) =>
        failure.Message.Split('\'') is [_, var said, ..] ? said : failure.Message.TrimEnd('.');

    private static string Words(Exception failure) => failure.GetBaseException().Message.ReplaceLineEndings(" ").TrimEnd('.');

    private static long FreeBytes(string folder)
    {
        try
        {
            return new DriveInfo(folder).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return long.MaxValue;
        }
    }
}

/// <summary>The database does not take a write, and why; the statement is not to blame.</summary>
public sealed class StoreUnwritableException(StoreTrouble trouble,
    Exception? inner = null) : IOException($"The database cannot be written: {trouble.Why}", inner)
{
    public StoreTrouble Trouble { get; } = trouble;
}
