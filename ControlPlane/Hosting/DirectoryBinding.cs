using System.Text.Json;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// database.json in the data directory: which database it belongs to. A start that names another one would take the directory's agents
/// for leftovers and its checkpoints for nobody's.
/// </summary>
internal static class DirectoryBinding
{
    public const string FileName = "database.json";

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>Makes or upgrades the database, or refuses it; one that is not there yet is not made before that is decided.</summary>
    public static async Task Prepare(OpsDatabase database, ControlPlaneOptions options, CancellationToken cancellation)
    {
        string folder = options.DataDirectory;
        var bound = Read(folder);
        if (database is OpsDatabase.Sqlite { Path: var path } && !File.Exists(path))
        {
            Demand(new BindingSeen(bound, null, BindingVerdict.Embedded, folder, false, Used(folder), false), options.Rebind);
        }

        var found = await StorageHosting.Prepare(database, cancellation);
        var seen = new BindingSeen(bound, found.Identity, Place(database), folder, found.KnowsRuns, Used(folder),
            OriginalStands(bound, folder));
        bool anew = Demand(seen, options.Rebind);
        string identity = found.Identity;
        if (anew && seen.OriginalStands)
        {
            LocalProcessCluster.Forget(folder, TimeProvider.System.GetUtcNow());
            identity = database is OpsDatabase.Sqlite ? await StorageHosting.Rename(database, cancellation) : identity;
        }

        var next = new DatabaseBinding(identity, seen.Place, folder);
        if (next != bound)
        {
            Write(folder, next);
        }
    }

    /// <summary>What a start would say of this database, without one.</summary>
    /// <param name="identity">Null: the database has no tables yet.</param>
    internal static BindingVerdict Foresee(OpsDatabase database, ControlPlaneOptions options, string? identity, bool knowsRuns)
    {
        string folder = options.DataDirectory;
        var bound = Read(folder);
        var seen = new BindingSeen(bound, identity, Place(database), folder, knowsRuns, Used(folder), OriginalStands(bound, folder));
        return BindingVerdict.Decide(seen, options.Rebind);
    }

    private static bool Demand(BindingSeen seen, bool rebind) => BindingVerdict.Decide(seen, rebind) switch
    {
        BindingVerdict.Bind bind => bind.Anew,
        BindingVerdict.Refuse refuse => throw new RefusalException(refuse.Why, refuse.Fix, ExitCode.Failed),
        var other => throw new System.Diagnostics.UnreachableException($"verdict {other}"),
    };

    private static string Place(OpsDatabase database) =>
        database is OpsDatabase.Postgres postgres ? $"PostgreSQL at {postgres.Address}" : BindingVerdict.Embedded;

    private static bool Used(string folder) => HasAny(Path.Combine(folder, "checkpoints"))
        || (Directory.Exists(Path.Combine(folder, "nodes"))
            && Directory.EnumerateDirectories(Path.Combine(folder, "nodes")).Any(node => HasAny(Path.Combine(node, "pods"))));

    private static bool HasAny(string folder) => Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any();

    private static bool OriginalStands(DatabaseBinding? bound, string folder) =>
        bound is not null && bound.Folder != folder && Read(bound.Folder) is { } original && original.Identity == bound.Identity
            && !SameFolder(bound.Folder, folder);

    /// <summary>
    /// By another name of it (a symbolic link above), it is the same directory: what is written by one is seen by the other.
    /// </summary>
    private static bool SameFolder(string one, string other)
    {
        string mark = $".{FileName}.{Environment.ProcessId}.tmp";
        try
        {
            File.WriteAllText(Path.Combine(one, mark), "");
            return File.Exists(Path.Combine(other, mark));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
        finally
        {
            if (File.Exists(Path.Combine(one, mark)))
            {
                File.Delete(Path.Combine(one, mark));
            }
        }
    }

    /// <summary>Null: the directory remembers none.</summary>
    internal static DatabaseBinding? Read(string folder)
    {
        try
        {
            return JsonSerializer.Deserialize<DatabaseBinding>(File.ReadAllText(Path.Combine(folder, FileName)), Format);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Written aside and renamed: a crash leaves all of it or what was there before.</summary>
    private static void Write(string folder, DatabaseBinding binding)
    {
        string aside = Path.Combine(folder, $".{FileName}.tmp");
        try
        {
            File.WriteAllText(aside, JsonSerializer.Serialize(binding, Format));
            File.Move(aside, Path.Combine(folder, FileName), overwrite: true);
        }
        catch (IOException e)
        {
            throw new RefusalException($"Cannot write {Path.Combine(folder, FileName)}: {e.Message.TrimEnd('.')}.",
                "Free space there, or choose another data directory.",
                ExitCode.Failed, e);
        }
    }
}
