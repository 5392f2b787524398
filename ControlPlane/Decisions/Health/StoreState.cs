using System.Globalization;

namespace DeepSeekOps.Decisions.Health;

/// <summary>Why a database does not take a write, and what a person can do.</summary>
/// <param name="Why">Ends the sentence "the database cannot be written since …:"; without a full stop.</param>
/// <param name="Fix">A whole sentence.</param>
public sealed record StoreTrouble(string Why, string Fix)
{
    /// <summary>With that done a control plane that runs goes on by itself; a verb or a start that failed has to be made again.</summary>
    public bool Passes { get; init; }

    /// <summary>For who looks at a control plane that runs.</summary>
    public string FixWhileRunning => Passes ? $"{Fix.TrimEnd('.')}; then everything goes on by itself." : Fix;
}

/// <summary>What was seen of the database lately. Ages are of a clock that only goes forward.</summary>
public sealed record StoreSeen
{
    /// <summary>Since the newest write that is durable. Null: none yet.</summary>
    public TimeSpan? Written { get; init; }

    /// <summary>Since the newest write that failed by the database's fault. Null: none yet.</summary>
    public TimeSpan? Failed { get; init; }

    /// <summary>Since the first failure of those that belong together with the newest.</summary>
    public TimeSpan? FailedFirst { get; init; }

    /// <summary>Of the newest failure.</summary>
    public StoreTrouble? Trouble { get; init; }

    /// <summary>How long the oldest write that has no answer waits for one. Null: none waits.</summary>
    public TimeSpan? Waiting { get; init; }

    /// <summary>The database in use is not the one that a next start would find: its file is gone, or somebody else took it.</summary>
    public StoreTrouble? Lost { get; init; }

    /// <summary>Since it is known to be lost.</summary>
    public TimeSpan LostFor { get; init; }
}

/// <summary>Whether the control plane can keep what it is told.</summary>
public abstract record StoreState
{
    /// <summary>
    /// A write takes milliseconds and the next probe follows within two seconds, so that a hung database is told within five.
    /// </summary>
    public static readonly TimeSpan AnswersWithin = TimeSpan.FromSeconds(2.5);

    /// <summary>
    /// A connection that was dropped (a database that restarts) is opened again by the next write; nobody needs to hear of it.
    /// </summary>
    public static readonly TimeSpan ToldAfter = TimeSpan.FromSeconds(1);

    /// <summary>On a full disk a small write may pass between two that do not: as long as any failed lately, it is not over.</summary>
    public static readonly TimeSpan CalmAfter = TimeSpan.FromSeconds(3);

    private StoreState() { }

    public sealed record Writable : StoreState;

    public sealed record Unwritable(DateTimeOffset Since, StoreTrouble Trouble) : StoreState
    {
        /// <summary>For a person, with the time in it.</summary>
        public string Sentence =>
            string.Create(CultureInfo.InvariantCulture, $"The database cannot be written since {Since:HH:mm:ss} UTC: {Trouble.Why}.");
    }

    public static StoreState Decide(StoreSeen seen, DateTimeOffset now)
    {
        if (seen.Lost is { } lost)
        {
            return new Unwritable(now - seen.LostFor, lost);
        }

        if (seen.Waiting >= AnswersWithin)
        {
            var unanswered = new StoreTrouble("it gives no answer", "Look at the database's own log and at the machine it runs on.");
            // A lock or a dying server fails first and then keeps the next one waiting: the words that were given say more.
            var (since, why) = Failing(seen) ? (seen.FailedFirst, seen.Trouble) : (null, null);
            return new Unwritable(now - Longer(seen.Waiting.Value, since), why ?? unanswered);
        }

        return Failing(seen) && seen is { Trouble: { } trouble, FailedFirst: { } first } && first >= ToldAfter
            ? new Unwritable(now - first, trouble) : new Writable();
    }

    /// <summary>The same trouble keeps the time that was told first, which ages of another clock would move by a hair each time.</summary>
    public StoreState After(StoreState before) =>
        this is Unwritable now && before is Unwritable then && (now.Since - then.Since).Duration() < ToldAfter
            ? now with { Since = then.Since } : this;

    /// <summary>A failure at <paramref name="failed"/> ago begins a new trouble unless it belongs to the one before.</summary>
    public static bool SameTrouble(TimeSpan? failed, TimeSpan? written) =>
        failed is { } last && (written is not { } good || good > last || last < CalmAfter);

    private static bool Failing(StoreSeen seen) => SameTrouble(seen.Failed, seen.Written);

    private static TimeSpan Longer(TimeSpan one, TimeSpan? other) => other > one ? other.Value : one;
}
