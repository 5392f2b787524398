namespace DeepSeekOps.Decisions.Health;

/// <summary>Which database a data directory belongs to, as a file in it remembers.</summary>
/// <param name="Identity">A word that the database has from its beginning.</param>
/// <param name="Place">Where it was reached: "the embedded database", "PostgreSQL at host:5432/ops". Never a password.</param>
/// <param name="Folder">Full path of the directory then: one that was copied finds the original there.</param>
public sealed record DatabaseBinding(string Identity, string Place, string Folder);

/// <summary>What a start finds.</summary>
/// <param name="Bound">Null: the directory remembers none.</param>
/// <param name="Identity">Of the database that was named. Null: it would be made anew.</param>
/// <param name="KnowsRuns">At least one run is written in it.</param>
/// <param name="FolderUsed">The directory holds checkpoints or agents.</param>
/// <param name="OriginalStands">The directory that the binding names is another one, is there, and is bound alike.</param>
public sealed record BindingSeen(
    DatabaseBinding? Bound, string? Identity, string Place, string Folder, bool KnowsRuns, bool FolderUsed, bool OriginalStands);

/// <summary>Whether this database may work on this directory.</summary>
public abstract record BindingVerdict
{
    public const string Embedded = "the embedded database";

    private const string Rebind =
        "To give the directory to this database for good, add --rebind: checkpoints stay, and agents that still run there "
            + "are left alone and reported.";

    private BindingVerdict() { }

    /// <summary>It does; the directory is to remember it.</summary>
    /// <param name="Anew">The directory or the database was another's until now.</param>
    public sealed record Bind(bool Anew) : BindingVerdict;

    public sealed record Refuse(string Why, string Fix) : BindingVerdict;

    /// <param name="rebind">A person said that the directory is to belong to this database from now on.</param>
    public static BindingVerdict Decide(BindingSeen seen, bool rebind) => seen switch
    {
        _ when rebind => new Bind(Anew: true),
        { Bound: { } bound, OriginalStands: true } when bound.Identity == seen.Identity => new Refuse(
            $"The data directory {seen.Folder} is a copy of {bound.Folder}, which is still there. Both would take the same "
                + "runs and agents for theirs.",
            "Use the original, or add --rebind to make the copy a directory of its own."),
        { Bound: { } bound } when bound.Identity == seen.Identity => new Bind(Anew: false),
        { Bound: { } bound } when bound.Place == Embedded && seen is { Place: Embedded, Identity: null } => new Refuse(
            $"The database of the data directory {seen.Folder} is gone: there is no dsops.db in it.",
            "Put the file or a backup of it back. Or begin an empty one with --rebind: checkpoints stay, but no run knows them any more."),
        { Bound: { } bound } => new Refuse(
            $"The data directory {seen.Folder} belongs to {bound.Place}, and this start names {Named(seen, bound)}.",
            $"{(bound.Place == Embedded ? "Leave --database out" : $"Name that one with --database")}, or give this start a directory of "
                + $"its own with --data-dir. {Rebind}"),
        { FolderUsed: true, KnowsRuns: false } => new Refuse(
            $"The data directory {seen.Folder} holds checkpoints or agents of runs, and {seen.Place} knows no run.",
            $"Name the database that the directory was used with (--database), or put its dsops.db back. {Rebind}"),
        _ => new Bind(Anew: false),
    };

    private static string Named(BindingSeen seen, DatabaseBinding bound) => seen switch
    {
        { Place: var place } when place == bound.Place => $"another database in its place{(seen.KnowsRuns ? "" : ", which knows no run")}",
        { KnowsRuns: false } => $"{seen.Place}, which knows no run",
        _ => seen.Place,
    };
}
