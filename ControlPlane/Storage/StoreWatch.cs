using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>
/// Remembers how the last writes went and says whether the database can be written. Memory only: it answers while the database does not.
/// </summary>
public sealed class StoreWatch(OpsDatabase database, TimeProvider clock)
{
    private readonly Lock changing = new();
    private readonly Dictionary<long, long> begun = [];
    private long numbers;
    private long? written;
    private long? failed;
    private long? failedFirst;
    private StoreTrouble? trouble;
    private StoreTrouble? lost;
    private long? lostAt;
    private StoreState said = new StoreState.Writable();

    public StoreState Now
    {
        get
        {
            lock (changing)
            {
                said = StoreState.Decide(
                    new StoreSeen
                    {
                        Written = Age(written), Failed = Age(failed), FailedFirst = Age(failedFirst), Trouble = trouble,
                        Waiting = begun.Count == 0 ? null : Age(begun.Values.Min()), Lost = lost, LostFor = Age(lostAt) ?? default,
                    },
                    clock.GetUtcNow()).After(said);
                return said;
            }
        }
    }

    /// <summary>
    /// What is written now would be lost with this process. Null: not known to be so; to be set again when it is found again.
    /// </summary>
    public StoreTrouble? Lost
    {
        get => lost;
        set
        {
            lock (changing)
            {
                lostAt = value is null ? null : lostAt ?? clock.GetTimestamp();
                lost = value;
            }
        }
    }

    /// <summary>Nothing was written for so long, and nothing is on its way: only a probe can tell how the database is.</summary>
    public bool QuietFor(TimeSpan span)
    {
        lock (changing)
        {
            return begun.Count == 0 && (Age(written) is not { } age || age >= span);
        }
    }

    /// <summary>A write begins; its number goes with what it comes to.</summary>
    public long Begin()
    {
        lock (changing)
        {
            begun[++numbers] = clock.GetTimestamp();
            return numbers;
        }
    }

    public void Durable(long number)
    {
        lock (changing)
        {
            StoreMeter.Wrote(begun.Remove(number, out long since) ? clock.GetElapsedTime(since) : default);
            written = clock.GetTimestamp();
        }
    }

    /// <summary>What the failure means where it is the database's; null where the statement itself is to blame.</summary>
    public StoreTrouble? Failed(long number, Exception failure)
    {
        var why = failure is StoreUnwritableException known ? known.Trouble : StoreFailure.Of(failure, database);
        StoreMeter.NotWritten(why is null ? StoreMeter.Refused : StoreMeter.Failed);
        lock (changing)
        {
            begun.Remove(number, out long since);
            if (why is not null)
            {
                failedFirst = StoreState.SameTrouble(Age(failed), Age(written)) ? failedFirst : since;
                (failed, trouble) = (clock.GetTimestamp(), why);
            }
        }

        return why;
    }

    /// <summary>What an exception of a reader means; null where the database has nothing to do with it.</summary>
    public StoreTrouble? TroubleIn(Exception failure) =>
        (failure as StoreUnwritableException)?.Trouble ?? (failure is TimeoutException ? null : StoreFailure.Of(failure, database));

    private TimeSpan? Age(long? at) => at is { } timestamp ? clock.GetElapsedTime(timestamp) : null;
}
