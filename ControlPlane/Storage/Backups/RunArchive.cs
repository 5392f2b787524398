using System.Collections.Immutable;
using System.Text.Json;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Backups;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Runs;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage.Backups;

/// <summary>
/// One run as a file: what its grains keep, and all rows of its history. Lines of the audit log stay where they are sealed; the run's own
/// row and its line in the list are made of its state.
/// </summary>
internal sealed class RunArchive(OpsConnections connections, WriteLanes lanes)
{
    /// <summary>One transaction of the lane: others wait behind it for some ten milliseconds.</summary>
    private const int RowsAtOnce = 200;

    private const int BytesAtOnce = 2 << 20;

    private const string States = "grain_state";

    /// <summary>Without the count of writes: it is of the database that it was written in.</summary>
    private static readonly BackupTable StateTable = new(States,
    [
        new("state_name", ColumnKind.Text), new("grain_id", ColumnKind.Text), new("payload", ColumnKind.Bytes),
    ]);

    /// <summary>Where each has "run" as its column.</summary>
    private static readonly ImmutableArray<string> Elsewhere = ["audit"];

    /// <summary>Changes of the tables that this program knows.</summary>
    public ImmutableArray<string> Migrations
    {
        get
        {
            using var context = connections.Context();
            return [.. context.Database.GetMigrations().Select(StoreSnapshot.NameOf)];
        }
    }

    /// <summary>Writes it, the same bytes for the same run on either database, but for the moment in the manifest.</summary>
    /// <param name="plain">Of a state by its name: without what is of its own database.</param>
    /// <param name="version">Of this program.</param>
    public async Task<RunManifest> Write(
        RunView run, Stream file, Func<string, byte[], byte[]> plain, string version, TimeProvider clock, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        await using var source = await StoreSnapshot.Open(connections.Database, "dsops export", cancellation);
        var migrations = await source.Migrations(context, cancellation);
        await DemandRecorded(source, run, cancellation);
        file.Write(BackupFile.OneRun.FirstLine);
        string collated = connections.Database is OpsDatabase.Postgres ? " COLLATE \"C\"" : "";
        var parts = ImmutableArray.CreateBuilder<BackupPart>();
        parts.Add(await StoreSnapshot.Part(StateTable, file, writer => StatesOf(source, run.Name, (name, grain, payload) =>
        {
            object[] row = [name, grain, plain(name, payload)];
            writer.Write(i => row[i]);
        }, collated, cancellation)));
        foreach (var table in History(context))
        {
            string order = string.Join(", ", KeysOf(context, table).Select(k =>
                $"\"{k.Name}\"{(k.Kind == ColumnKind.Text ? collated : "")}"));
            parts.Add(await source.Part(table, $"SELECT {table.Listed} FROM \"{table.Name}\" WHERE run = @run ORDER BY {order}", file,
                cancellation, ("run", run.Name)));
        }

        var manifest = new RunManifest(BackupFile.OneRun.Format, version, clock.GetUtcNow(), run.Name, run.Team, run.State,
            run.Simulated, migrations, parts.ToImmutable());
        await StoreSnapshot.Manifest(manifest, file, cancellation);
        return manifest;
    }

    /// <summary>Reads what the grains keep, and looks at every row; nothing is written.</summary>
    /// <returns>States by their name and the grain's key: "run" and "mini", "stage" and "mini/pretrain".</returns>
    /// <exception cref="BackupUnusableException">A row is not one of this run's, or cannot be read.</exception>
    public async Task<ImmutableArray<(string Name, string Key, byte[] Payload)>> Look(
        BackupReader file, RunManifest manifest, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var known = History(context).ToDictionary(t => t.Name);
        var states = ImmutableArray.CreateBuilder<(string, string, byte[])>();
        await file.Tables((name, rows) =>
        {
            DemandTable(name == States ? StateTable : known.GetValueOrDefault(name), rows.Table);
            while (rows.Next() is { } row)
            {
                cancellation.ThrowIfCancellationRequested();
                if (name == States)
                {
                    states.Add(State((string)row[0]!, (string)row[1]!, (byte[])row[2]!));
                }
                else
                {
                    DemandRow(rows.Table, row, manifest.Run);
                }
            }

            return Task.CompletedTask;
        }, cancellation);
        return states.ToImmutable();
    }

    /// <summary>Puts the history in, row by row; what is there already stays. Only after <see cref="Look"/>.</summary>
    /// <returns>How many rows were new.</returns>
    public async Task<long> Insert(BackupReader file, RunManifest manifest, CancellationToken cancellation)
    {
        long added = 0;
        await file.Tables(async (name, rows) =>
        {
            if (name == States)
            {
                return;
            }

            string insert = $"INSERT INTO \"{name}\" ({rows.Table.Listed}) VALUES "
                + $"({string.Join(", ", rows.Table.Columns.Select((_, i) => $"@v{i}"))}) ON CONFLICT DO NOTHING";
            var group = new List<Statement>();
            int bytes = 0;
            while (rows.Next() is { } row)
            {
                group.Add(new Statement(insert, [.. row.Select((v, i) => ($"v{i}", v ?? DBNull.Value))]));
                bytes += row.Sum(v => v is byte[] body ? body.Length : v is string text ? text.Length : 8);
                if (group.Count == RowsAtOnce || bytes > BytesAtOnce)
                {
                    added += await Commit();
                }
            }

            added += await Commit();

            async Task<long> Commit()
            {
                long rowsNow = group.Count == 0 ? 0 : (await lanes.Run(manifest.Run, group, cancellation)).Sum(n => (long)n);
                group = [];
                bytes = 0;
                return rowsNow;
            }
        }, cancellation);
        return added;
    }

    private static Task StatesOf(StoreSnapshot source, string run, Action<string, string, byte[]> read, string collated,
        CancellationToken cancellation)
    {
        string stages = $"stage/{run}/";
        return source.Each(
            $"SELECT {StateTable.Listed} FROM {States} WHERE (state_name = 'run' AND grain_id = @grain) "
            + $"OR (state_name = 'stage' AND substr(grain_id, 1, @length) = @stages) ORDER BY state_name{collated}, grain_id{collated}",
            row => read(row.GetString(0), row.GetString(1), row.GetFieldValue<byte[]>(2)), cancellation,
            ("grain", $"run/{run}"), ("stages", stages), ("length", stages.Length));
    }

    /// <summary>A run tells its history before it records its end, so one whose end is recorded has told all.</summary>
    private static async Task DemandRecorded(StoreSnapshot source, RunView run, CancellationToken cancellation)
    {
        string recorded = "";
        await source.Each("SELECT state FROM run WHERE name = @run", row => recorded = row.GetString(0), cancellation, ("run", run.Name));
        if (recorded != run.State)
        {
            throw new BackupUnusableException($"{run.Name} has only just ended, and its history is still being written", "Try again.");
        }
    }

    private static ImmutableArray<BackupTable> History(OpsDb context) =>
        [.. BackupTable.All(context).Where(t => !Elsewhere.Contains(t.Name) && t.Columns.Any(c => c.Name == "run"))];

    private static IEnumerable<BackupColumn> KeysOf(OpsDb context, BackupTable table) =>
        context.Model.GetEntityTypes().Single(t => t.GetTableName() == table.Name).FindPrimaryKey()!.Properties
            .Select(p => table.Columns.Single(c => c.Name == p.GetColumnName()));

    private static (string Name, string Key, byte[] Payload) State(string name, string grain, byte[] payload) =>
        grain.StartsWith($"{name}/", StringComparison.Ordinal) ? (name, grain[(name.Length + 1)..], payload)
            : throw Wrong($"a state '{name}' is of a grain of another kind");

    /// <summary>Names of tables and columns become part of a statement: only ours may.</summary>
    private static void DemandTable(BackupTable? known, BackupTable told)
    {
        if (known is null || known.Name != told.Name || told.Columns.IsDefault || !known.Columns.SequenceEqual(told.Columns))
        {
            throw Wrong("a table in it has not the columns that it has here");
        }
    }

    private static void DemandRow(BackupTable table, object?[] row, string run)
    {
        int At(string column) => table.Columns.IndexOf(table.Columns.Single(c => c.Name == column));
        if (row[At("run")] as string != run)
        {
            throw Wrong($"a row of {table.Name} is of another run");
        }

        try
        {
            string Body() => (string)row[At("body")]!;
            bool right = table.Name switch
            {
                "event" => LedgerJson.Read<RunEvent>(Body()).Run == run,
                "incident" => LedgerJson.Read<Incident>(Body()) is not null,
                "checkpoint" => IsItsOwn(LedgerJson.Read<StageCheckpoint>(Body()), run, (string)row[At("stage")]!),
                _ => true,
            };
            if (!right)
            {
                throw Wrong($"a row of {table.Name} tells of another run");
            }
        }
        catch (Exception e) when (e is JsonException or InvalidCastException)
        {
            throw Wrong($"a row of {table.Name} cannot be read", e);
        }
    }

    /// <summary>No path of it leads to another run's checkpoints, nor out of their folder.</summary>
    private static bool IsItsOwn(StageCheckpoint checkpoint, string run, string stage)
    {
        string right = FormattableString.Invariant($"{run}/{stage}/step-{checkpoint.Made.Step:00000000}");
        return checkpoint.Made.Path == right || checkpoint.Made.Path == $"simulated/{right}";
    }

    private static BackupUnusableException Wrong(string why, Exception? inner = null) =>
        new($"it is not what dsops exports: {why}", "Export the run again.", inner);
}
