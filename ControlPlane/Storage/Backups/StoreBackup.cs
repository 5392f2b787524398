using System.Collections.Immutable;
using DeepSeekOps.Decisions.Backups;
using DeepSeekOps.Decisions.Checkpoints;

namespace DeepSeekOps.ControlPlane.Storage.Backups;

/// <summary>Writes what a database holds into a file, as it is at one moment, while others write on.</summary>
internal static class StoreBackup
{
    /// <param name="version">Of this program.</param>
    /// <exception cref="BackupUnusableException">Its tables are not those of this program.</exception>
    public static async Task<BackupManifest> Write(
        OpsDatabase database, Stream file, string version, TimeProvider clock, CancellationToken cancellation)
    {
        await using var connections = new OpsConnections(database);
        await using var context = connections.Context();
        await using var source = await StoreSnapshot.Open(database, "dsops backup", cancellation);
        var migrations = await source.Migrations(context, cancellation);
        var made = clock.GetUtcNow();
        file.Write(BackupFile.Whole.FirstLine);
        // Of a process that is killed what it has left is known by this.
        await file.FlushAsync(cancellation);
        var parts = ImmutableArray.CreateBuilder<BackupPart>();
        foreach (var table in BackupTable.All(context))
        {
            parts.Add(await source.Part(table, $"SELECT {table.Listed} FROM \"{table.Name}\"", file, cancellation));
        }

        var manifest = new BackupManifest(BackupFile.Whole.Format, version, made, database.Kind, StoreExamination.PlaceOf(database),
            await source.Word("SELECT identity FROM store WHERE id = 1", cancellation), migrations,
            await source.Word("SELECT sealed_by FROM audit_head WHERE id = 1", cancellation),
            await source.Count("SELECT COUNT(*) FROM run", cancellation), await source.Count(Unfinished, cancellation),
            await Checkpoints(source, cancellation), parts.ToImmutable());
        await StoreSnapshot.Manifest(manifest, file, cancellation);
        return manifest;
    }

    private const string Unfinished = "SELECT COUNT(*) FROM run WHERE state NOT IN ('completed', 'failed', 'cancelled')";

    private static async Task<ImmutableArray<NamedCheckpoint>> Checkpoints(StoreSnapshot source, CancellationToken cancellation)
    {
        var named = ImmutableArray.CreateBuilder<NamedCheckpoint>();
        await source.Each("SELECT run, stage, body FROM checkpoint WHERE state IN ('Good', 'Final', 'Pinned') ORDER BY run, stage, step",
            row =>
            {
                var made = LedgerJson.Read<StageCheckpoint>(row.GetString(2));
                named.Add(new NamedCheckpoint(row.GetString(0), row.GetString(1), made.Made.Step, made.Made.Path, made.Made.Digest,
                    made.Made.Bytes, made.Stored?.Uri));
            }, cancellation);
        return named.ToImmutable();
    }
}
