using System.Globalization;
using DeepSeekOps.Decisions.Health;
using Npgsql;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>
/// One control plane with processes of its own on one PostgreSQL database: a lock of a connection that does nothing else. The server
/// drops it when we die, and also when it loses the connection; then it is taken again before anybody else does, or it is said.
/// </summary>
public sealed class PostgresHold : IAsyncDisposable
{
    /// <summary>"dsops" in ASCII; of this database alone, as PostgreSQL counts advisory locks.</summary>
    private const long Key = 0x64_73_6F_70_73;

    /// <summary>A server needs a moment to notice that the process before was killed.</summary>
    private const int TriesAtStart = 6;

    private static readonly TimeSpan TryAgain = TimeSpan.FromMilliseconds(500);

    private readonly OpsDatabase.Postgres database;
    private readonly string holder;
    private NpgsqlConnection? connection;
    private string? other;

    private PostgresHold(OpsDatabase.Postgres database, string holder) => (this.database, this.holder) = (database, holder);

    /// <summary>Null: it is held. Otherwise somebody else holds it, and what is written here would cross what he writes.</summary>
    public StoreTrouble? Trouble => other is null ? null : new StoreTrouble(
        $"another `dsops` took PostgreSQL at {database.Address} while it was away: {other}",
        "Stop one of the two; each needs a database of its own.");

    /// <param name="holder">Host, data directory and process, for who comes second.</param>
    /// <exception cref="StoreHeldException">Somebody else works on this database.</exception>
    public static async Task<PostgresHold> Take(OpsDatabase.Postgres database, string holder, TimeProvider clock,
        CancellationToken cancellation)
    {
        var hold = new PostgresHold(database, holder);
        using var timer = new PeriodicTimer(TryAgain, clock);
        for (int tries = 1; !await hold.TryTake(cancellation); tries++)
        {
            if (tries == TriesAtStart)
            {
                await hold.DisposeAsync();
                throw new StoreHeldException($"PostgreSQL at {database.Address} is in use by another `dsops`: {hold.other}.");
            }

            await timer.WaitForNextTickAsync(cancellation);
        }

        return hold;
    }

    /// <summary>Looks whether the lock is still there, and takes it again where it is not. A server that is away changes nothing.</summary>
    internal async Task Look(CancellationToken cancellation)
    {
        try
        {
            if (connection is not null && other is null)
            {
                await using var ask = new NpgsqlCommand("SELECT 1", connection);
                await ask.ExecuteScalarAsync(cancellation);
                return;
            }

            await TryTake(cancellation);
        }
        catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException or InvalidOperationException)
        {
            await Drop();
        }
    }

    public async ValueTask DisposeAsync() => await Drop();

    private async Task<bool> TryTake(CancellationToken cancellation)
    {
        if (connection is null)
        {
            var own = new NpgsqlConnectionStringBuilder(database.ConnectionString)
            {
                Pooling = false,
                CommandTimeout = 3,
                ApplicationName = "dsops (holds the lock)",
            };
            var opened = new NpgsqlConnection(own.ConnectionString);
            await opened.OpenAsync(cancellation);
            connection = opened;
        }

        await using var take = new NpgsqlCommand("SELECT pg_try_advisory_lock(@key)", connection);
        take.Parameters.AddWithValue("key", Key);
        if (await take.ExecuteScalarAsync(cancellation) is true)
        {
            await using var sign = new NpgsqlCommand("UPDATE store SET holder = @holder WHERE id = 1", connection);
            sign.Parameters.AddWithValue("holder", holder);
            await sign.ExecuteNonQueryAsync(cancellation);
            other = null;
            return true;
        }

        await using var who = new NpgsqlCommand("SELECT holder FROM store WHERE id = 1", connection);
        other = Convert.ToString(await who.ExecuteScalarAsync(cancellation), CultureInfo.InvariantCulture) is { Length: > 0 } named ? named
            : "it has not said who it is";
        return false;
    }

    private async Task Drop()
    {
        if (connection is { } gone)
        {
            connection = null;
            await gone.DisposeAsync();
        }
    }
}

/// <summary>Another control plane works on the database; the message says which.</summary>
public sealed class StoreHeldException(string message) : Exception(message);
