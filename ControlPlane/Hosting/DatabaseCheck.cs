using System.Net.Sockets;
using DeepSeekOps.ControlPlane.Cli;
using Npgsql;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>A database that is not there is one line before anything is started, not a stack trace from within the silo.</summary>
internal static class DatabaseCheck
{
    private const int AnswerWithinSeconds = 5;

    public static async Task Reach(ControlPlaneOptions options)
    {
        if (options.Database is null)
        {
            return;
        }
        NpgsqlConnectionStringBuilder connection;
        try
        {
            connection = new NpgsqlConnectionStringBuilder(options.Database) { Timeout = AnswerWithinSeconds, Pooling = false };
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            throw new RefusalException($"--database is not a PostgreSQL connection: {e.Message}",
                "Write it as \"Host=127.0.0.1;Username=ops;Password=…;Database=ops\".", ExitCode.Usage, e);
        }
        string place = $"{connection.Host}:{connection.Port}";
        try
        {
            await using var probe = new NpgsqlConnection(connection.ConnectionString);
            await probe.OpenAsync();
        }
        catch (PostgresException e)
        {
            throw new RefusalException($"The database at {place} refuses: {e.MessageText}.",
                "Check Username, Password and Database in --database; the database must exist.", ExitCode.Failed, e);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or SocketException)
        {
            throw new RefusalException($"No database answers at {place}.",
                "Start PostgreSQL there, correct --database, or leave the option out to keep everything in the data directory.", ExitCode.Failed, e);
        }
    }
}
