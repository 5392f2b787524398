using DeepSeekOps.Decisions.Health;
using Npgsql;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>
/// The same lock, held together by the silos of one control plane: who works alone waits for all of them, and they for him. Each looks
/// twice a second whether the others still count it as one of them.
/// </summary>
public sealed partial class PostgresHold
{
    /// <summary>
    /// A silo whose process stood still for so long says nothing before it has heard that it is still one of them. The others call it dead
    /// after <see cref="LostAfter"/>, two seconds later.
    /// </summary>
    public static readonly TimeSpan SpeaksFor = TimeSpan.FromSeconds(3);

    /// <summary>
    /// Ten words that were missed. Measured: with twenty times more to do than processors a silo that works stands still for 4.0 s at most.
    /// </summary>
    public static readonly TimeSpan LostAfter = TimeSpan.FromSeconds(5);

    /// <summary>A silo says a word, and hears whether it is still one of them.</summary>
    public static readonly TimeSpan WordEvery = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// Of any transaction of a silo, the first statement: it fails where the others have called the silo dead, and holds that word back
    /// until the transaction has ended. So nothing that a dead silo wrote comes after what its heir has read. Before it has joined no row
    /// is its own; afterwards a row that is gone is one that was forgotten as dead.
    /// </summary>
    private const string Standing = """
        SELECT 1 / (CASE WHEN COALESCE(MAX(seen.status), @unseen) < 6 AND (SELECT holder FROM store WHERE id = 1) = @holder
        THEN 1 ELSE 0 END)
        FROM (SELECT (body::json->>'Status')::int AS status FROM member WHERE silo = @silo FOR SHARE) AS seen
        """;

    private const string DivisionByZero = "22012";

    private const string LookAtOurselves = """
        SELECT COALESCE((SELECT holder FROM store WHERE id = 1), ''),
        COALESCE((SELECT (body::json->>'Status')::int FROM member WHERE silo = @silo), -1)
        """;

    /// <summary>Of a statement that runs the server owes the answer: that silo is not silent.</summary>
    private const string WordsOfSilos = """
        SELECT application_name, MIN(CASE WHEN state = 'idle' THEN extract(epoch FROM clock_timestamp() - state_change) ELSE 0 END)::float8
        FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'dsops %' GROUP BY application_name
        """;

    /// <summary>PostgreSQL cuts names of applications at 63 bytes.</summary>
    private const int NameMax = 63;

    /// <summary>SiloStatus.Dead, as a member's row has it.</summary>
    private const int Dead = 6;

    private readonly bool shared;
    private volatile bool joined;
    private NpgsqlConnection? named;
    private long stirred;
    private volatile bool stood;

    /// <summary>Nobody else was there when it came, and nobody comes before <see cref="Share"/>.</summary>
    public bool Alone { get; private set; }

    /// <summary>What the table of members calls this silo. Null: not known yet.</summary>
    public string? Silo { get; set; }

    /// <summary>False: the others may have called this silo dead meanwhile, and go on in its place.</summary>
    public bool Speaks =>
        !shared || (!taken.Task.IsCompleted && clock.GetElapsedTime(Volatile.Read(ref stirred)) < SpeaksFor && !stood);

    /// <summary>Null: whoever holds the lock writes, and nobody is asked first.</summary>
    internal Statement? First => shared && Silo is { } silo
        ? new Statement(Standing, ("silo", silo), ("holder", holder), ("unseen", joined ? Dead : 0)) : null;

    /// <summary>
    /// Waits until nobody is there but silos that call themselves by the same name. One that hangs is let go of first, and so is who
    /// worked alone.
    /// </summary>
    /// <param name="waiting">Is told who is waited for, whenever that is another one.</param>
    public static async Task<PostgresHold> Join(OpsDatabase.Postgres database, string holder, Action<string> waiting, TimeProvider clock,
        CancellationToken cancellation, TimeSpan? hungAfter = null)
    {
        var hold = new PostgresHold(database, holder, clock, shared: true);
        using var timer = new PeriodicTimer(TryAgain, clock);
        string told = "";
        try
        {
            while (true)
            {
                string now;
                try
                {
                    await hold.Connect(cancellation);
                    await hold.EndIfHung(hungAfter ?? LostAfter, cancellation);
                    hold.Alone = await hold.Ask("SELECT pg_try_advisory_lock(@key)", cancellation);
                    if (hold.Alone || await hold.TryShare(cancellation))
                    {
                        return hold;
                    }

                    now = hold.other ?? "";
                }
                catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
                {
                    await hold.Drop();
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

    /// <summary>The tables are there and signed, and the dead are forgotten: others may come.</summary>
    public async Task Share(CancellationToken cancellation)
    {
        await gate.WaitAsync(cancellation);
        try
        {
            if (Alone)
            {
                await Ask("SELECT pg_try_advisory_lock_shared(@key)", cancellation);
                await Ask("SELECT pg_advisory_unlock(@key)", cancellation);
                Alone = false;
            }

            had = true;
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>This silo knows by itself that it is none of them any more.</summary>
    internal void Lose(string why) => taken.TrySetResult(why);

    /// <summary>
    /// For how long each of these silos has said nothing, by the database's own clock; null: PostgreSQL has no session of it, since its
    /// process has ended or its connection broke just now. None of them where the database does not answer.
    /// </summary>
    internal async Task<IReadOnlyDictionary<string, TimeSpan?>> Silences(IReadOnlyCollection<string> silos, CancellationToken cancellation)
    {
        try
        {
            await gate.WaitAsync(cancellation);
            try
            {
                await Connect(cancellation);
                await using var ask = new NpgsqlCommand(WordsOfSilos, connection);
                await using var reader = await ask.ExecuteReaderAsync(cancellation);
                var there = new Dictionary<string, TimeSpan>(StringComparer.Ordinal);
                while (await reader.ReadAsync(cancellation))
                {
                    there[reader.GetString(0)] = TimeSpan.FromSeconds(reader.GetDouble(1));
                }

                return silos.ToDictionary(s => s, s => there.TryGetValue(ApplicationOf(s), out var silent) ? silent : (TimeSpan?)null);
            }
            finally
            {
                gate.Release();
            }
        }
        catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException or InvalidOperationException)
        {
            return new Dictionary<string, TimeSpan?>();
        }
    }

    /// <summary>
    /// Its process goes on. Where it stood still for long, what it knows is old until the next look that begins now: an answer from before
    /// may still lie in its socket.
    /// </summary>
    private void Stir()
    {
        stood |= clock.GetElapsedTime(Volatile.Read(ref stirred)) >= SpeaksFor;
        Volatile.Write(ref stirred, clock.GetTimestamp());
    }

    private static string ApplicationOf(string silo) => $"dsops {silo}" is var name && name.Length > NameMax ? name[..NameMax] : name;

    /// <summary>The words for what <see cref="First"/> ended in; null: it was something else.</summary>
    internal static StoreTrouble? Fenced(Exception failure) => failure is PostgresException { SqlState: DivisionByZero }
        ? new StoreTrouble("the other silos have called this one dead and went on in its place", "It stops by itself; start it again.")
        : null;

    private async Task<bool> TryShare(CancellationToken cancellation)
    {
        if (!await Ask("SELECT pg_try_advisory_lock_shared(@key)", cancellation))
        {
            return Others(await Named(cancellation));
        }

        if (await Named(cancellation) is var named && named != holder)
        {
            await Ask("SELECT pg_advisory_unlock_shared(@key)", cancellation);
            return Others(named);
        }

        other = null;
        return true;
    }

    /// <summary>False, for who asks: it is not ours.</summary>
    private bool Others(string? named)
    {
        other = named is { Length: > 0 } ? named : "it has not said who it is";
        if (had)
        {
            taken.TrySetResult(other);
        }

        return false;
    }

    /// <summary>A word each second: whoever waits takes silence for death. A silo hears at once whether it is still one of them.</summary>
    private async Task Say(CancellationToken cancellation)
    {
        if (!shared || Silo is not { } silo)
        {
            await using var ask = new NpgsqlCommand("SELECT 1", connection);
            await ask.ExecuteScalarAsync(cancellation);
            return;
        }

        if (!ReferenceEquals(named, connection))
        {
            await using var name = new NpgsqlCommand("SELECT set_config('application_name', @name, false)", connection);
            name.Parameters.AddWithValue("name", ApplicationOf(silo));
            await name.ExecuteNonQueryAsync(cancellation);
            named = connection;
        }

        await using var look = new NpgsqlCommand(LookAtOurselves, connection);
        look.Parameters.AddWithValue("silo", silo);
        await using var reader = await look.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        var (other, status) = (reader.GetString(0), reader.GetInt32(1));
        joined |= status is >= 0 and < Dead;
        if (other != holder)
        {
            Others(other);
        }
        else if (status == Dead || (joined && status < 0))
        {
            Others("the other silos, which have called this one dead");
        }
    }

    private async Task<bool> Ask(string sql, CancellationToken cancellation)
    {
        await using var ask = new NpgsqlCommand(sql, connection);
        ask.Parameters.AddWithValue("key", Key);
        return await ask.ExecuteScalarAsync(cancellation) is true;
    }
}
