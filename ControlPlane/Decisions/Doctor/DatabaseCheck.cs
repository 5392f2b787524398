using System.Collections.Immutable;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Doctor;

/// <summary>The database as it was seen, without a change to it.</summary>
/// <param name="Place">"PostgreSQL at host:5432/ops", or the file.</param>
public sealed record DatabaseFacts(string Place, bool Embedded)
{
    /// <summary>Why it cannot be used; null: it can.</summary>
    public StoreTrouble? Trouble { get; init; }

    /// <summary>Of the file: it is not there yet.</summary>
    public bool NotMade { get; init; }

    /// <summary>"15.6"; of SQLite its library's.</summary>
    public string Version { get; init; } = "";

    /// <summary>150006; 0: SQLite.</summary>
    public int VersionNumber { get; init; }

    /// <summary>Changes of its tables that this program does not know: a newer one made them.</summary>
    public ImmutableArray<string> Newer { get; init; } = [];

    /// <summary>Changes that the next start makes.</summary>
    public ImmutableArray<string> Pending { get; init; } = [];

    /// <summary>How many of ours are made.</summary>
    public int Applied { get; init; }

    /// <summary>Tables of somebody else that have names of ours.</summary>
    public ImmutableArray<string> Foreign { get; init; } = [];

    /// <summary>Null: not asked, or not known.</summary>
    public bool? CanCreate { get; init; }

    public string Schema { get; init; } = "";

    public string User { get; init; } = "";

    /// <summary>A standby, or told to take no writes.</summary>
    public bool ReadOnly { get; init; }

    public int? ConnectionsMax { get; init; }

    /// <summary>Of <see cref="ConnectionsMax"/>, for superusers alone.</summary>
    public int ConnectionsReserved { get; init; }

    public int ConnectionsUsed { get; init; }

    /// <summary>Who works on it, as it says itself; null: nobody does.</summary>
    public string? Holder { get; init; }

    /// <summary>What keeps this data directory from this database, as a start would say it.</summary>
    public BindingVerdict? Binding { get; init; }

    public ClockOffset? Clock { get; init; }
}

/// <summary>Whether a control plane could work on the database.</summary>
public static class DatabaseCheck
{
    /// <summary>DESIGN and tests: nothing older was ever tried.</summary>
    private const int Oldest = 150_000;

    /// <summary>The pool of a control plane, its lock and its deputy's look (OpsDatabase.Parse, PostgresHold).</summary>
    private const int ConnectionsTaken = 62;

    /// <summary>Ours: with fewer a start and the first verbs wait for each other.</summary>
    private const int ConnectionsMin = 10;

    /// <param name="several">It is one of several on this database (--deputy, --silo).</param>
    /// <param name="ours">The control plane of this very data directory runs.</param>
    public static ImmutableArray<Finding> Of(DatabaseFacts seen, bool several, bool ours)
    {
        if (seen.Trouble is { } trouble)
        {
            return [Finding.Fault("database.connect", trouble.Why, trouble.Fix)];
        }

        if (seen.NotMade)
        {
            return [Finding.Ok("database.connect", $"{seen.Place} is not there yet; the first start makes it"), .. Bound(seen)];
        }

        ImmutableArray<Finding> both = [Finding.Ok("database.connect", $"{seen.Place} answers"), Version(seen), Schema(seen)];
        return seen.Embedded ? [.. both, .. Bound(seen)]
            :
            [
                .. both, Rights(seen), Connections(seen), Held(seen, several, ours), .. Bound(seen),
                ClockCheck.Of("clock.database", "the database", seen.Clock),
            ];
    }

    private static Finding Version(DatabaseFacts seen) =>
        seen.Embedded ? Finding.Ok("database.version", $"SQLite {seen.Version}, of this program")
        : seen.VersionNumber < Oldest
        ? Finding.Fault("database.version", $"PostgreSQL {seen.Version} is older than 15, the oldest that dsops works on",
            "Upgrade the server, or name another one.")
        : Finding.Ok("database.version", $"PostgreSQL {seen.Version}");

    private static Finding Schema(DatabaseFacts seen)
    {
        const string check = "database.schema";
        return seen.Newer is [.., var last]
            ? Finding.Fault(check, $"a newer dsops has changed its tables: {Words.Count(seen.Newer.Length, "change", "changes")} that this "
                + $"program does not know, up to {Name(last)}",
                "Start that newer version, or put a backup from before the upgrade in its place.")
            : seen.Applied == 0 && seen.Foreign is [var first, ..]
            ? Finding.Fault(check, $"it has a table {first} that is none of dsops'"
                + (seen.Foreign.Length > 1 ? $", and {seen.Foreign.Length - 1} more of such names" : ""),
                "Give dsops a database of its own: `createdb ops`, and name it.")
            : seen.Applied == 0 ? Finding.Ok(check, "it is empty; the first start makes the tables")
            : seen.Pending.Length > 0
            ? Finding.Warning(check, $"the next start changes its tables ({Words.Count(seen.Pending.Length, "change", "changes")}, up to "
                + $"{Name(seen.Pending[^1])}), and the version before cannot work on them then",
                "Make a backup of it first, by the version that works on it now: `dsops backup --out FILE`.")
            : Finding.Ok(check, $"its tables are those of this program ({Name(seen.Applied)})");
    }

    private static Finding Rights(DatabaseFacts seen) => seen switch
    {
        { ReadOnly: true } => Finding.Fault("database.rights",
            $"{seen.Place} takes no writes (a standby, or default_transaction_read_only)",
            "Name the primary server, or let it take writes."),
        { CanCreate: null } => Finding.NotKnown("database.rights", "whether tables may be made there it does not tell"),
        { CanCreate: false } => Finding.Fault("database.rights",
            seen.Schema.Length == 0 ? $"no schema of {seen.User}'s search_path is there"
                : $"{seen.User} may not make tables in schema {seen.Schema}",
            $"As its owner: `GRANT CREATE, USAGE ON SCHEMA {(seen.Schema.Length == 0 ? "public" : seen.Schema)} TO {seen.User};`."),
        _ => Finding.Ok("database.rights", $"{seen.User} may make tables in schema {seen.Schema}"),
    };

    private static Finding Connections(DatabaseFacts seen)
    {
        const string check = "database.connections";
        if (seen.ConnectionsMax is not { } most)
        {
            return Finding.NotKnown(check, "how many connections it takes it does not tell");
        }

        int free = most - seen.ConnectionsReserved - seen.ConnectionsUsed;
        string found = $"{free} of {most} connections are free; a control plane takes up to {ConnectionsTaken}";
        const string fix = "Raise max_connections of the server, or end other clients of it.";
        return free < ConnectionsMin ? Finding.Fault(check, $"only {found}", fix)
            : most - seen.ConnectionsReserved < ConnectionsTaken ? Finding.Warning(check, found, fix) : Finding.Ok(check, found);
    }

    private static Finding Held(DatabaseFacts seen, bool several, bool ours) => seen switch
    {
        { Holder: null } => Finding.Ok("database.holder", "no other control plane works on it"),
        _ when ours => Finding.Ok("database.holder", "the control plane that has the folder works on it"),
        _ when several => Finding.Ok("database.holder", $"{seen.Holder} works on it; this one stands beside it"),
        _ => Finding.Warning("database.holder",
            $"another control plane works on it ({seen.Holder}): a second start is refused (exit code 3)",
            "Nothing, beside a running one. Else stop that one, or give this one a database of its own, or --deputy or --silo."),
    };

    private static ImmutableArray<Finding> Bound(DatabaseFacts seen) => seen.Binding switch
    {
        BindingVerdict.Refuse refuse => [Finding.Fault("database.binding", refuse.Why.TrimEnd('.'), refuse.Fix)],
        null => [],
        _ => [Finding.Ok("database.binding", "database and data directory belong together")],
    };

    /// <summary>"20261128131210_AccessTokens": the time is for machines.</summary>
    private static string Name(string migration) => migration[(migration.IndexOf('_', StringComparison.Ordinal) + 1)..];

    private static string Name(int applied) => Words.Count(applied, "change", "changes");
}
