using System.Data.Common;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Backups;
using DeepSeekOps.Decisions.Backups;

namespace DeepSeekOps.ControlPlane.Hosting.Backups;

/// <param name="File">Full path of the backup.</param>
/// <param name="Database">A connection; null: that of the data directory.</param>
internal sealed record BackupAsked(string File, string DataDirectory, string? Database);

/// <summary>`dsops backup`: the ledger and all state into one file, beside a control plane that works or without one.</summary>
internal static class BackingUp
{
    /// <returns>What the backup says of itself, and how many bytes it has.</returns>
    /// <exception cref="RefusalException">It could not be made; nothing is left of it.</exception>
    public static async Task<(BackupManifest Manifest, long Bytes)> Run(
        BackupAsked asked, TimeProvider clock, CancellationToken cancellation)
    {
        if (Path.Exists(asked.File))
        {
            throw new RefusalException($"{asked.File} is there already.", "Name another file, such as one with the date in its name.");
        }

        var database = Source(asked);
        string aside = DurableFile.Aside(asked.File);
        try
        {
            DurableFile.ClearAbandoned(asked.File, BackupFile.Whole.FirstLine);
            var manifest = await Write(database, aside, clock, cancellation);
            DurableFile.Finish(aside, asked.File);
            return (manifest, new FileInfo(asked.File).Length);
        }
        catch (BackupUnusableException e)
        {
            throw new RefusalException($"No backup was made: {e.Message}.", e.Fix, ExitCode.Failed, e);
        }
        catch (Exception e) when (e is DbException or TimeoutException)
        {
            throw DatabaseSaid(database, e, "No backup was made", "Then make the backup again.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException($"Cannot write {asked.File}: {e.Message.TrimEnd('.')}.",
                "Free space there, or name a file in a folder that is there and yours.", ExitCode.Failed, e);
        }
        finally
        {
            // A folder that is not there has nothing in it either, and to delete in it fails.
            if (File.Exists(aside))
            {
                File.Delete(aside);
            }
        }
    }

    /// <param name="then">Nothing of a verb that failed goes on by itself: what to do when the fix is made. A whole sentence.</param>
    /// <param name="left">What there is of it now; a whole sentence, or nothing.</param>
    internal static RefusalException DatabaseSaid(OpsDatabase database, Exception e, string beginning, string then, string left = "")
    {
        var trouble = StoreFailure.Of(e, database);
        string said = trouble?.Why ?? $"{StoreExamination.PlaceOf(database)} refuses ({e.GetBaseException().Message.TrimEnd('.')})";
        return new RefusalException($"{beginning}: {said}. {left}".TrimEnd(),
            $"{trouble?.Fix ?? "Look at its own log, and at --database."} {then}", ExitCode.Failed, e);
    }

    internal static OpsDatabase Parse(string? text, string dataDirectory)
    {
        try
        {
            return OpsDatabase.Parse(text, dataDirectory);
        }
        catch (FormatException e)
        {
            throw new RefusalException(e.Message, "Correct --database.", ExitCode.Usage, e);
        }
    }

    private static async Task<BackupManifest> Write(
        OpsDatabase database, string aside, TimeProvider clock, CancellationToken cancellation)
    {
        await using var file = DurableFile.Create(aside);
        await StoreBackup.Write(database, file, ProgramVersion.Text, clock, cancellation);
        await file.FlushAsync(cancellation);
        file.Position = 0;
        // What was written is read once: a backup that cannot be read is found when there is another chance.
        using var reader = new BackupReader(file);
        return reader.Verify(cancellation);
    }

    private static OpsDatabase Source(BackupAsked asked)
    {
        var database = Parse(asked.Database, asked.DataDirectory);
        if (database is OpsDatabase.Sqlite { Path: var path } && !File.Exists(path))
        {
            throw DirectoryBinding.Read(asked.DataDirectory) is { } bound && bound.Place != Decisions.Health.BindingVerdict.Embedded
                ? new RefusalException($"The data directory {asked.DataDirectory} belongs to {bound.Place}.",
                    "Name that database with --database-file FILE, as `dsops serve` does.")
                : new RefusalException($"There is no database in {asked.DataDirectory}.",
                    "Name the folder of the control plane with --data-dir DIR, or its PostgreSQL with --database-file FILE.");
        }

        return database;
    }
}
