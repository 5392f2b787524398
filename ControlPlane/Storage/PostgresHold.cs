using System.Globalization;
using DeepSeekOps.Decisions.Health;
using Npgsql;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>
/// One control plane with processes of its own on one PostgreSQL database: a lock of a connection that does nothing else. The server
/// drops it when we die, and also when it loses the connection; then it is taken again before anybody else does, or it is said.
/// </summary>
public sealed partial class PostgresHold : IAsyncDisposable
{
    /// <summary>"dsops" in ASCII; of this database alone, as PostgreSQL counts advisory locks.</summary>
    internal const long LockKey = 0x64_73_6F_70_73;

    private const long Key = LockKey;

    /// <summary>A server needs a moment to notice that the process before was killed.</summary>
    private const int TriesAtStart = 6;

    private static readonly TimeSpan TryAgain = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A server that was away lets everybody in at once, and whoever held it finds its connection broken by one look and opens another with
    /// the next: so many tries of a deputy, three seconds, it comes first.
    /// </summary>
    private const int TriesLeftToTheHolder = 6;

    /// <summary>
    /// A holder looks once a second (<see cref="StoreProbe"/>). Three looks that were missed in a row are a process that is stopped or a
    /// machine that is dead, whose end PostgreSQL would hear of in two hours (TCP keep-alive). One that only was slow loses its place and
    /// nothing else.
    /// </summary>
    public static readonly TimeSpan HungAfter = TimeSpan.FromSeconds(4);

    private const string UndefinedTable = "42P01";

    /// <summary>Who has the lock has said nothing for too long: PostgreSQL lets go of its session, and of the lock with it.</summary>
    private const string EndHung = """
        SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND ((l.classid::bigint << 32) | l.objid::bigint) = @key AND a.pid <> pg_backend_pid()
        AND clock_timestamp() - a.state_change > make_interval(secs => @hung)
        """;

    private readonly OpsDatabase.Postgres database;
    private readonly string holder;
    private readonly TimeProvider clock;
    private readonly TaskCompletionSource<string> taken = new(TaskCreationOptions.RunContinuationsAsynchronously);
    /// <summary>One command at a time goes over the connection.</summary>
    private readonly SemaphoreSlim gate = new(1);
    private readonly CancellationTokenSource over = new();
    private NpgsqlConnection? connection;
    private Task pulse = Task.CompletedTask;
    private string? other;
    private bool had;

    private PostgresHold(OpsDatabase.Postgres database, string holder, TimeProvider clock, bool shared = false)
    {
        (this.database, this.holder, this.clock, this.shared) = (database, holder, clock, shared);
        stirred = clock.GetTimestamp();
    }

    /// <summary>Null: it is held. Otherwise somebody else holds it, and what is written here would cross what he writes.</summary>
    public StoreTrouble? Trouble => other is null ? null : new StoreTrouble(
        $"another `dsops` took PostgreSQL at {database.Address} while it was away: {other}",
        "Stop one of the two; each needs a database of its own.");

    /// <summary>What the database calls its holder, while that is us.</summary>
    public string Holder => holder;

    /// <summary>Ends when somebody else has taken what we held; who, in words.</summary>
    public Task<string> Taken => taken.Task;

    /// <summary>
    /// Waits until whoever holds it ends, or ends it where it hangs. A database that is away is waited for too.
    /// </summary>
    /// <param name="waiting">Is told who is waited for, whenever that is another one.</param>
    public static async Task<PostgresHold> Await(OpsDatabase.Postgres database, string holder, Action<string> waiting, TimeProvider clock,
        CancellationToken cancellation, TimeSpan? hungAfter = null)
    {
        var hold = new PostgresHold(database, holder, clock);
        using var timer = new PeriodicTimer(TryAgain, clock);
        string told = "";
        int rest = 0;
        try
        {
            while (true)
            {
                string now = told;
                try
                {
                    await hold.Connect(cancellation);
                    if (rest-- <= 0)
                    {
                        if (await hold.TryTake(cancellation))
                        {
                            return hold;
                        }

                        now = hold.other ?? "";
                        await hold.EndIfHung(hungAfter ?? HungAfter, cancellation);
                    }
                }
                catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
                {
                    await hold.Drop();
                    rest = TriesLeftToTheHolder;
                    now = $"PostgreSQL at {database.Address} does not answer: {e.Message}";
                }

                if (now != told)
                {
                    waiting(told = now);
                }

                await timer.WaitForNextTickAsync(cancellation);
            }
        }
        catch
        {
            await hold.Drop();
            throw;
        }
    }

    /// <param name="holder">Host, data directory and process, for who comes second.</param>
    /// <exception cref="StoreHeldException">Somebody else works on this database.</exception>
    public static async Task<PostgresHold> Take(OpsDatabase.Postgres database, string holder, TimeProvider clock,
        CancellationToken cancellation)
    {
        var hold = new PostgresHold(database, holder, clock);
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

    /// <summary>Looks each second from now on: whoever starts is heard of before it is up.</summary>
    public void Begin(TimeProvider clock) => pulse = Looks(clock);

    /// <summary>Looks whether the lock is still there, and takes it again where it is not. A server that is away changes nothing.</summary>
    internal async Task Look(CancellationToken cancellation)
    {
        if (!await gate.WaitAsync(TimeSpan.Zero, cancellation))
        {
            return;
        }

        try
        {
            Stir();
            long began = clock.GetTimestamp();
            if (connection is not null && other is null)
            {
                await Say(cancellation);
            }
            else if (await TryTake(cancellation) && shared)
            {
                await Say(cancellation);
            }

            stood &= clock.GetElapsedTime(began) >= SpeaksFor;
        }
        catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException or InvalidOperationException)
        {
            // A database that is away tells nobody that this silo is dead.
            await Drop();
        }
        finally
        {
            gate.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await over.CancelAsync();
        await pulse;
        await Drop();
    }

    private async Task Looks(TimeProvider clock)
    {
        using var timer = new PeriodicTimer(shared ? WordEvery : LookEvery, clock);
        var look = Task.CompletedTask;
        try
        {
            while (await timer.WaitForNextTickAsync(over.Token))
            {
                Stir();
                if (look.IsCompleted)
                {
                    await look;
                    look = Look(over.Token);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // It is put away.
            await look.ContinueWith(_ => { }, TaskScheduler.Default);
        }
    }

    private async Task Connect(CancellationToken cancellation)
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
    }

    private async Task<bool> TryTake(CancellationToken cancellation)
    {
        await Connect(cancellation);
        if (shared)
        {
            return await TryShare(cancellation);
        }

        await using var take = new NpgsqlCommand("SELECT pg_try_advisory_lock(@key)", connection);
        take.Parameters.AddWithValue("key", Key);
        if (await take.ExecuteScalarAsync(cancellation) is true)
        {
            await SignHere(cancellation);
            (other, had) = (null, true);
            return true;
        }

        other = await Named(cancellation) is { Length: > 0 } named ? named : "it has not said who it is";
        if (had)
        {
            taken.TrySetResult(other);
        }

        return false;
    }

    /// <summary>Says who holds it, for who comes second. A database that has no tables yet is signed once it has.</summary>
    public async Task Sign(CancellationToken cancellation)
    {
        await gate.WaitAsync(cancellation);
        try
        {
            await SignHere(cancellation);
        }
        finally
        {
            gate.Release();
        }
    }

    private async Task SignHere(CancellationToken cancellation)
    {
        await using var sign = new NpgsqlCommand("UPDATE store SET holder = @holder WHERE id = 1", connection);
        sign.Parameters.AddWithValue("holder", holder);
        try
        {
            await sign.ExecuteNonQueryAsync(cancellation);
        }
        catch (PostgresException e) when (e.SqlState == UndefinedTable)
        {
            // Its first control plane begins right now.
        }
    }

    private async Task<string?> Named(CancellationToken cancellation)
    {
        await using var who = new NpgsqlCommand("SELECT holder FROM store WHERE id = 1", connection);
        try
        {
            return Convert.ToString(await who.ExecuteScalarAsync(cancellation), CultureInfo.InvariantCulture);
        }
        catch (PostgresException e) when (e.SqlState == UndefinedTable)
        {
            return null;
        }
    }

    private async Task EndIfHung(TimeSpan hungAfter, CancellationToken cancellation)
    {
        await using var end = new NpgsqlCommand(EndHung, connection);
        end.Parameters.AddWithValue("key", Key);
        end.Parameters.AddWithValue("hung", hungAfter.TotalSeconds);
        await end.ExecuteNonQueryAsync(cancellation);
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
