using System.Collections.Immutable;
using System.Data.Common;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Audit;
using DeepSeekOps.ControlPlane.Storage.Backups;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.Backups;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.ControlPlane.Hosting.Backups;

/// <param name="File">Full path of the backup.</param>
/// <param name="Database">A connection; null: a file in the data directory.</param>
/// <param name="KeyFile">The key of the control plane that the backup is of. Null: what the data directory has.</param>
/// <param name="Checkpoints">Where its checkpoints are. Null: in the data directory, if the database is there.</param>
internal sealed record RestoreAsked(string File, string DataDirectory, string? Database, string? KeyFile, string? Checkpoints);

/// <summary>What became of a backup.</summary>
/// <param name="Place">Of the new database.</param>
/// <param name="Checkpoints">Null: nobody said where they would be.</param>
/// <param name="Notes">What a person should know, in sentences.</param>
internal sealed record Restored(
    BackupManifest Manifest, string Place, string Identity, CheckpointsLookedFor? Checkpoints, ImmutableArray<string> Notes);

/// <param name="Folder">Where they were looked for.</param>
/// <param name="Stored">Not there, and with a copy in a store.</param>
/// <param name="Missing">Neither there nor in a store.</param>
/// <param name="Newer">Of stages whose newest is not there: a later one that is, since training went on after the backup.</param>
internal sealed record CheckpointsLookedFor(string Folder, int There, ImmutableArray<NamedCheckpoint> Stored,
    ImmutableArray<NamedCheckpoint> Missing, ImmutableArray<StageStep> Newer);

internal sealed record StageStep(string Run, string Stage, long Step);

/// <summary>`dsops restore`: an empty data directory or database becomes what the backup was of, or stays as empty as it was.</summary>
internal static class Restoring
{
    private const string DatabaseName = "dsops.db";
    private const string Again = "Then restore again.";

    /// <summary>Reads all of the file and changes nothing.</summary>
    public static BackupManifest Check(string file, CancellationToken cancellation) => Usable(file, () =>
    {
        using var reader = Open(file);
        return Task.FromResult(reader.Verify(cancellation));
    }).GetAwaiter().GetResult();

    /// <exception cref="RefusalException">Nothing was restored; the message says why.</exception>
    public static Task<Restored> Run(RestoreAsked asked, TimeProvider clock, CancellationToken cancellation) =>
        Usable(asked.File, () => Made(asked, clock, cancellation));

    private static async Task<Restored> Made(RestoreAsked asked, TimeProvider clock, CancellationToken cancellation)
    {
        using var reader = Open(asked.File);
        var manifest = reader.Verify(cancellation);
        var database = BackingUp.Parse(asked.Database, asked.DataDirectory);
        using var restore = new StoreRestore(database);
        restore.Demand(manifest);
        try
        {
            return database is OpsDatabase.Sqlite ? await IntoFolder(asked, reader, manifest, clock, cancellation)
                : await IntoServer(asked, (OpsDatabase.Postgres)database, restore, reader, manifest, clock, cancellation);
        }
        catch (Exception e) when (e is DbException or TimeoutException)
        {
            throw BackingUp.DatabaseSaid(database, e, "Nothing was restored", Again, AsBefore(asked, database));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException($"Nothing was restored: {e.Message.TrimEnd('.')}. {AsBefore(asked, database)}",
                $"Check paths and rights, and free space there. {Again}", ExitCode.Failed, e);
        }
    }

    private static string AsBefore(RestoreAsked asked, OpsDatabase database) => database is OpsDatabase.Sqlite
        ? $"What was written of it is taken away again: {asked.DataDirectory} is as it was before."
        : $"{StoreExamination.PlaceOf(database)} is as empty as it was before.";

    private static async Task<T> Usable<T>(string file, Func<Task<T>> work)
    {
        try
        {
            return await work();
        }
        catch (BackupUnusableException e)
        {
            throw new RefusalException($"{file} was not restored: {e.Message}.", e.Fix, ExitCode.Failed, e);
        }
        catch (JsonException e)
        {
            throw new RefusalException($"{file} was not restored: a stage in its part grain_state cannot be read by this version of dsops.",
                "Restore it with the version of dsops that wrote it: `dsops restore FILE --check` names it.", ExitCode.Failed, e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException($"{file} was not restored: {e.Message.TrimEnd('.')}.", "Check its path and rights, and free space.",
                ExitCode.Failed, e);
        }
    }

    private static BackupReader Open(string file) => FileSeen.IsRegular(file)
        ? new BackupReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16))
        : throw new RefusalException($"{file} is no file.", "Name a file that `dsops backup` wrote.");

    private static async Task<Restored> IntoFolder(
        RestoreAsked asked, BackupReader reader, BackupManifest manifest, TimeProvider clock, CancellationToken cancellation)
    {
        string folder = asked.DataDirectory, path = Path.Combine(folder, DatabaseName), aside = DurableFile.Aside(path);
        DemandUnused(folder);
        using var folders = new NewFolders(folder);
        string[] made = [.. new[] { "dsops.lock", "dsops.pid", Hosting.KeyFile.Name }.Select(name => Path.Combine(folder, name))
            .Where(file => !File.Exists(file))];
        try
        {
            using var held = DataDirectoryLock.Take(folder);
            DurableFile.ClearAbandoned(path, []);
            var key = KeyOf(asked);
            await DurableFile.Create(aside).DisposeAsync();
            var database = new OpsDatabase.Sqlite(aside);
            using var restore = new StoreRestore(database);
            var (changes, notes) = Changes(manifest, path, key, clock);
            string identity = await restore.Run(reader, manifest, changes, cancellation);
            DurableFile.Finish(aside, path);
            made = [];
            folders.Keep();
            return new Restored(manifest, path, identity,
                Look(manifest, asked.Checkpoints ?? Path.Combine(folder, "checkpoints")), notes);
        }
        finally
        {
            if (Directory.Exists(folder))
            {
                Array.ForEach([aside, $"{aside}-journal", .. made], File.Delete);
            }
        }
    }

    private static async Task<Restored> IntoServer(RestoreAsked asked, OpsDatabase.Postgres database, StoreRestore restore,
        BackupReader reader, BackupManifest manifest, TimeProvider clock, CancellationToken cancellation)
    {
        string place = StoreExamination.PlaceOf(database);
        string inFolder = Path.Combine(asked.DataDirectory, Hosting.KeyFile.Name);
        var key = asked.KeyFile is not null || File.Exists(inFolder) ? Hosting.KeyFile.In(asked.DataDirectory, asked.KeyFile) : null;
        var (changes, notes) = Changes(manifest, place, key, clock);
        string identity = await restore.Run(reader, manifest, changes, cancellation);
        notes = notes.Add("A data directory that was used with another database has to be given to this one: add --rebind to the first "
            + "start.");
        return new Restored(manifest, place, identity, asked.Checkpoints is { } folder ? Look(manifest, folder) : null, notes);
    }

    /// <summary>What a person has put there beforehand is welcome: the key, checkpoints, files of his own.</summary>
    private static void DemandUnused(string folder)
    {
        string? found = new[] { DatabaseName, $"{DatabaseName}-wal", DirectoryBinding.FileName }
            .FirstOrDefault(name => File.Exists(Path.Combine(folder, name)))
            ?? (Directory.Exists(Path.Combine(folder, "nodes")) ? "nodes/" : null);
        if (found is null)
        {
            return;
        }

        // Who works there is named before it is said that somebody has.
        DataDirectoryLock.Take(folder).Dispose();
        throw new RefusalException($"The data directory {folder} is not empty: it has {found} of a control plane.",
            "Restore into another folder; put dsops.key and checkpoints/ of the old one there before.");
    }

    private static AccessKey KeyOf(RestoreAsked asked)
    {
        string path = Path.Combine(asked.DataDirectory, Hosting.KeyFile.Name);
        if (asked.KeyFile is { } given)
        {
            var key = Hosting.KeyFile.In(asked.DataDirectory, given);
            if (File.Exists(path) && Hosting.KeyFile.Read(path).Fingerprint != key.Fingerprint)
            {
                throw new RefusalException($"--key-file {given} and {path} are two keys.",
                    "Delete the wrong one, or leave the option out.");
            }

            Hosting.KeyFile.WritePrivately(path, File.ReadAllBytes(given));
        }

        return Hosting.KeyFile.In(asked.DataDirectory, given: null);
    }

    private static (RestoreChanges Changes, ImmutableArray<string> Notes) Changes(
        BackupManifest manifest, string place, AccessKey? key, TimeProvider clock)
    {
        var now = clock.GetUtcNow();
        var act = new AuditAct($"restore-{Guid.CreateVersion7(now):N}", now, Environment.UserName, "dsops restore",
            $"cli on {Environment.MachineName}", "restore", "", place,
            $"from a backup of {manifest.Made:O} of {manifest.Place} ({manifest.Identity}): all that was written since is not in it",
            AuditAct.Done);
        var notes = ImmutableArray.CreateBuilder<string>();
        if (key is null)
        {
            notes.Add("The audit log has no line of this restore: no key was at hand to seal it (--key-file).");
        }

        if (key is not null && manifest.SealedBy.Length > 0 && manifest.SealedBy != key.Fingerprint)
        {
            notes.Add($"Lines of the audit log from before were sealed with another key ({manifest.SealedBy}, this one is "
                + $"{key.Fingerprint}): `dsops audit verify` can check only their chain, and everybody needs the new address and owner's "
                + "token. With the old dsops.key in the folder, or named by --key-file, neither is so.");
        }

        return (new RestoreChanges("stage", state => PutBack(state, manifest.Made, now), act,
            key is null ? null : new AuditSeal(key.AuditSecret, key.Fingerprint)), notes.ToImmutable());
    }

    private static byte[] PutBack(byte[] state, DateTimeOffset made, DateTimeOffset now)
    {
        var record = JsonSerializer.Deserialize<StageRecord>(state, LedgerJson.Options);
        return record?.Value is { } stage && StagePutBack.Of(stage, made, now) is var next && !ReferenceEquals(next, stage)
            ? JsonSerializer.SerializeToUtf8Bytes(record with { Value = next }, LedgerJson.Options) : state;
    }

    private static CheckpointsLookedFor Look(BackupManifest manifest, string folder)
    {
        var gone = manifest.Checkpoints.Where(c => !IsThere(Path.Combine(folder, c.Path, "manifest.json"), c.Digest)).ToImmutableArray();
        var newer = manifest.Checkpoints.GroupBy(c => (c.Run, c.Stage)).Select(stage => stage.MaxBy(c => c.Step)!).Where(gone.Contains)
            .Select(newest => new StageStep(newest.Run, newest.Stage, NewestStep(Path.Combine(folder, newest.Path, ".."), newest.Step)))
            .Where(found => found.Step > 0).ToImmutableArray();
        return new CheckpointsLookedFor(folder, manifest.Checkpoints.Length - gone.Length, [.. gone.Where(c => c.Stored is not null)],
            [.. gone.Where(c => c.Stored is null)], newer);
    }

    /// <summary>Of a later step than that. 0: there is none.</summary>
    private static long NewestStep(string stageFolder, long than)
    {
        string folder = Path.GetFullPath(stageFolder);
        return !Directory.Exists(folder) ? 0 : Directory.EnumerateDirectories(folder, "step-*")
            .Where(step => File.Exists(Path.Combine(step, "manifest.json")))
            .Select(step => long.TryParse(Path.GetFileName(step)["step-".Length..], NumberStyles.None, CultureInfo.InvariantCulture,
                out long number) && number > than ? number : 0)
            .Append(0).Max();
    }

    /// <summary>Its files are verified by whatever loads it.</summary>
    private static bool IsThere(string manifest, string digest)
    {
        try
        {
            return File.Exists(manifest) && Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(manifest))) == digest;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
