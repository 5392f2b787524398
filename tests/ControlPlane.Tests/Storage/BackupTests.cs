using System.Collections.Immutable;
using System.Data.Common;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json.Serialization;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Audit;
using DeepSeekOps.ControlPlane.Storage.Backups;
using DeepSeekOps.ControlPlane.Storage.Orleans;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.Backups;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Orleans;
using Orleans.Runtime;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>Backups of both databases and into both. Seven seconds of a core, most of them databases that are made.</summary>
public sealed class BackupTests(PrivatePostgres postgres)
{
    private static readonly AuditSeal Seal = new([1, 2, 3], "key");

    private static readonly DateTimeOffset At = new(2026, 11, 28, 22, 40, 1, 234, TimeSpan.Zero);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(DatabaseKind.Sqlite, DatabaseKind.Sqlite)]
    [InlineData(DatabaseKind.Sqlite, DatabaseKind.Postgres)]
    [InlineData(DatabaseKind.Postgres, DatabaseKind.Sqlite)]
    [InlineData(DatabaseKind.Postgres, DatabaseKind.Postgres)]
    public async Task Every_row_of_every_table_comes_back_bit_by_bit(DatabaseKind from, DatabaseKind to)
    {
        await using var source = await TestDatabase.Create(from, postgres);
        await FillEveryTable(source.Database);
        await using var target = await TestDatabase.Create(to, postgres, migrate: false);
        using var file = new MemoryStream();
        var manifest = await Backup(source.Database, file);
        string identity = await Restore(file, target.Database);
        var (before, after) = (await Rows(source.Database), await Rows(target.Database));
        Assert.Equal(before.Keys, after.Keys);
        Assert.All(before.Keys, table => Assert.Equal(before[table], after[table]));
        Assert.All(manifest.Parts, part => Assert.Equal((part.Name, (long)before[part.Name].Count), (part.Name, part.Rows)));
        Assert.All(before.Values, rows => Assert.NotEmpty(rows));
        Assert.NotEqual(manifest.Identity, identity);
        // A start finds it as its own: nothing is left to be made, and its identity stays.
        Assert.Equal(identity, (await StorageHosting.Prepare(target.Database, Cancellation)).Identity);
    }

    [Theory]
    [InlineData(DatabaseKind.Sqlite)]
    [InlineData(DatabaseKind.Postgres)]
    public async Task While_somebody_writes_it_is_the_database_of_one_moment_and_its_audit_log_holds(DatabaseKind kind)
    {
        await using var source = await TestDatabase.Create(kind, postgres);
        var room = Room(source);
        using var enough = new CancellationTokenSource();
        var writing = Write(room, enough.Token);
        var backups = new List<MemoryStream>();
        for (int i = 0; i < 2; i++)
        {
            long before = await Newest(room);
            while (await Newest(room) <= before + 20)
            {
                Assert.False(writing.IsFaulted, writing.Exception?.ToString());
            }

            backups.Add(new MemoryStream());
            await Backup(source.Database, backups[^1]);
        }

        await enough.CancelAsync();
        await writing;
        var all = await Rows(source.Database);
        foreach (var file in backups)
        {
            await using var target = await TestDatabase.Create(DatabaseKind.Sqlite, postgres, migrate: false);
            await Restore(file, target.Database, new RestoreChanges("none", state => state, Act(-1), Seal));
            var copy = Room(target);
            var verdict = await copy.GetRequiredService<AuditLog>().Verify(null, Cancellation);
            Assert.Equal(0, verdict.Found);
            // An act and the state that it led to are of one transaction: as many of one as of the other, at whatever moment.
            var state = new GrainState<Counted>(new Counted(0, []));
            await copy.GetRequiredService<OpsGrainStorage>().ReadStateAsync("counted", GrainId.Create("counted", "one"), state);
            Assert.Equal(verdict.Newest - 1, state.State!.Turns);
            var rows = await Rows(target.Database);
            Assert.Equal(all["audit"].Take((int)verdict.Newest - 1), rows["audit"].SkipLast(1));
            Assert.Equal(all["event"].Take(rows["event"].Count), rows["event"]);
        }
    }

    [Fact]
    public async Task A_file_that_was_cut_anywhere_or_has_another_byte_is_refused_in_words()
    {
        await using var source = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        using var file = new MemoryStream();
        await Backup(source.Database, file);
        byte[] whole = file.ToArray();
        Assert.InRange(whole.Length, 1_000, 8_000);
        var words = new HashSet<string>(StringComparer.Ordinal);
        for (int length = 0; length < whole.Length; length++)
        {
            words.Add(Refusal(whole[..length]));
        }

        for (int at = 0; at < whole.Length; at++)
        {
            byte[] changed = [.. whole];
            changed[at] ^= (byte)(1 << (at % 8));
            words.Add(Refusal(changed));
        }

        words.Add(Refusal([.. whole, 0]));
        // Each part is named by who is cut or changed in it.
        Assert.All(source.Parts().Append("manifest"), name =>
        {
            Assert.Contains(words, w => w.Contains($"within its part {name}:", StringComparison.Ordinal));
            Assert.Contains(words, w => w.Contains($"its part {name} is not as it was written", StringComparison.Ordinal));
            Assert.DoesNotContain(words, w => w.Contains("its part the part", StringComparison.Ordinal));
        });
        Assert.Contains("1 bytes follow its end", words);
        Assert.All(words, w => Assert.Matches("^[a-z0-9]", w));
    }

    [Fact]
    public async Task Parts_of_two_backups_do_not_make_a_third()
    {
        await using var source = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        using var one = new MemoryStream();
        await Backup(source.Database, one);
        await FillEveryTable(source.Database);
        using var other = new MemoryStream();
        await Backup(source.Database, other);
        byte[] mixed = [.. Part(one.ToArray(), manifest: false), .. Part(other.ToArray(), manifest: true)];
        Assert.Equal("its parts are not those that its manifest lists", Refusal(mixed));
    }

    /// <summary>The newest change of the tables is taken from the manifest: what is restored is upgraded by it, as by a start.</summary>
    [Theory]
    [InlineData(DatabaseKind.Sqlite)]
    [InlineData(DatabaseKind.Postgres)]
    public async Task A_backup_of_an_older_version_is_upgraded_and_one_of_a_newer_version_refused(DatabaseKind kind)
    {
        await using var source = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        await FillEveryTable(source.Database);
        using var file = new MemoryStream();
        var manifest = await Backup(source.Database, file);
        await using var target = await TestDatabase.Create(kind, postgres, migrate: false);
        using var newer = With(file, manifest with { Migrations = manifest.Migrations.Add("Future"), Version = "9.9.9" });
        var refused = await Assert.ThrowsAsync<BackupUnusableException>(() => Restore(newer, target.Database));
        Assert.Contains("newer dsops (9.9.9)", refused.Message, StringComparison.Ordinal);
        using var older = With(file, manifest with { Migrations = manifest.Migrations[..^1] });
        await Restore(older, target.Database);
        await StorageHosting.Prepare(target.Database, Cancellation);
        var (before, after) = (await Rows(source.Database), await Rows(target.Database));
        Assert.All(before.Keys, table => Assert.Equal(before[table], after[table]));
    }

    [Fact]
    public async Task A_server_whose_database_is_used_or_whose_restore_fails_stays_as_it_was()
    {
        await using var source = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        await FillEveryTable(source.Database);
        using var file = new MemoryStream();
        await Backup(source.Database, file);
        await using var used = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        var refused = await Assert.ThrowsAsync<BackupUnusableException>(() => Restore(file, used.Database));
        Assert.Contains("is not empty", refused.Message, StringComparison.Ordinal);
        await using var target = await TestDatabase.Create(DatabaseKind.Postgres, postgres, migrate: false);
        var fails = new RestoreChanges("0-0", _ => throw new IOException("in the middle of it"), Act(1), null);
        await Assert.ThrowsAsync<IOException>(() => Restore(file, target.Database, fails));
        // Nothing of it is there: the same is restored as if nobody had tried. But not where a control plane begins just now.
        await using (await PostgresHold.Take((OpsDatabase.Postgres)target.Database, "somebody", TimeProvider.System, Cancellation))
        {
            refused = await Assert.ThrowsAsync<BackupUnusableException>(() => Restore(file, target.Database));
            Assert.Contains("a control plane works on PostgreSQL", refused.Message, StringComparison.Ordinal);
        }

        await Restore(file, target.Database);
    }

    private static async Task<BackupManifest> Backup(OpsDatabase database, MemoryStream file) =>
        await StoreBackup.Write(database, file, "1.2.3", TimeProvider.System, Cancellation);

    private static async Task<string> Restore(MemoryStream file, OpsDatabase database, RestoreChanges? changes = null)
    {
        using var reader = new BackupReader(new MemoryStream(file.ToArray()));
        var manifest = reader.Verify(Cancellation);
        using var restore = new StoreRestore(database);
        restore.Demand(manifest);
        return await restore.Run(reader, manifest, changes ?? new RestoreChanges("none", state => state, Act(1), null), Cancellation);
    }

    private static string Refusal(byte[] file) => Assert.Throws<BackupUnusableException>(() =>
    {
        using var reader = new BackupReader(new MemoryStream(file));
        reader.Verify(Cancellation);
    }).Message;

    /// <summary>All before the manifest, or the manifest.</summary>
    private static byte[] Part(byte[] whole, bool manifest)
    {
        byte[] name = [(byte)BackupFile.ManifestName.Length, .. Encoding.ASCII.GetBytes(BackupFile.ManifestName)];
        int at = whole.AsSpan().LastIndexOf(name);
        return manifest ? whole[at..] : whole[..at];
    }

    private static MemoryStream With(MemoryStream file, BackupManifest manifest)
    {
        var changed = new MemoryStream();
        changed.Write(Part(file.ToArray(), manifest: false));
        using var last = new PartWriter(changed, BackupFile.ManifestName);
        using (var content = new BrotliStream(last, CompressionLevel.Fastest, leaveOpen: true))
        {
            content.Write(Encoding.UTF8.GetBytes(LedgerJson.Write(manifest)));
        }

        last.End();
        return changed;
    }

    private static ServiceProvider Room(TestDatabase database) => database.Room(
        services => services.AddSingleton(Seal).AddSingleton<OpsGrainStorage>());

    private static AuditAct Act(int number) => new(FormattableString.Invariant($"act-{number}"), At.AddSeconds(number), "ann",
        "owner's token", "cli", "hold-run", "mini", "mini", "because", AuditAct.Done);

    /// <summary>A state with its act, and an event, again and again.</summary>
    private static async Task Write(IServiceProvider room, CancellationToken enough)
    {
        var (storage, events) = (room.GetRequiredService<OpsGrainStorage>(), room.GetRequiredService<EventWriter>());
        var state = new GrainState<Counted>(new Counted(0, []));
        for (int turn = 1; !enough.IsCancellationRequested; turn++)
        {
            state.State = new Counted(turn, [Act(turn)]);
            await storage.WriteStateAsync("counted", GrainId.Create("counted", "one"), state);
            await events.Append(
                [new RunEvent(At.AddSeconds(turn), "mini", "pretrain", 1, "note", EventLevel.Info, new string('x', 500))
                {
                    Step = turn,
                }], Cancellation);
        }
    }

    private static async Task<long> Newest(IServiceProvider room) =>
        (await room.GetRequiredService<AuditLog>().Newest(null, null, null, 1, Cancellation)).FirstOrDefault()?.Number ?? 0;

    /// <summary>Rows that no program writes, but that every column can hold; one of them reaches over the edge of a block.</summary>
    private static async Task FillEveryTable(OpsDatabase database)
    {
        await using var connections = new OpsConnections(database);
        await using var context = connections.Context();
        await using var connection = await connections.Open(Cancellation);
        foreach (var table in BackupTable.All(context))
        {
            await using var clear = connection.CreateCommand();
            clear.CommandText = $"DELETE FROM \"{table.Name}\"";
            await clear.ExecuteNonQueryAsync(Cancellation);
            for (int row = 0; row < 3; row++)
            {
                await using var insert = connection.CreateCommand();
                insert.CommandText = $"INSERT INTO \"{table.Name}\" ({table.Listed}) VALUES "
                    + $"({string.Join(", ", table.Columns.Select((_, i) => $"@v{i}"))})";
                for (int i = 0; i < table.Columns.Length; i++)
                {
                    bool none = row == 1 && table.Columns[i].Name is "grade" or "graded_at";
                    insert.Add($"@v{i}", none ? DBNull.Value : Value(table, table.Columns[i], row, i));
                }

                await insert.ExecuteNonQueryAsync(Cancellation);
            }
        }
    }

    private static object Value(BackupTable table, BackupColumn column, int row, int i) => column.Kind switch
    {
        // What a start or a backup reads itself has to have its form.
        ColumnKind.Text when table.Name == "checkpoint" && column.Name == "state" => "Deleted",
        ColumnKind.Text when row == 2 && column.Name == "body" => $"\u00e9\U0001f40d\t'\"\n{new string('y', 5_000)}",
        ColumnKind.Text => FormattableString.Invariant($"{row}-{i}"),
        ColumnKind.Int => row == 2 ? int.MinValue : row + 1,
        ColumnKind.Long => row == 2 ? long.MaxValue : row + 1L,
        ColumnKind.Real => row switch { 0 => double.Epsilon, 1 => double.NegativeInfinity, _ => 0.1 + 0.2 },
        ColumnKind.Moment => At.UtcDateTime.AddMicroseconds((row * 1_001) + i),
        // More than a block when it is packed, too.
        ColumnKind.Bytes when row == 2 && column.Name == "payload" => Noise(1_100_000),
        _ => Enumerable.Range(0, row).Select(n => (byte)(n * 31)).ToArray(),
    };

    private static byte[] Noise(int length)
    {
        byte[] noise = new byte[length];
        new Random(1).NextBytes(noise);
        return noise;
    }

    private static async Task<SortedDictionary<string, List<string>>> Rows(OpsDatabase database)
    {
        await using var connections = new OpsConnections(database);
        await using var context = connections.Context();
        await using var connection = await connections.Open(Cancellation);
        var all = new SortedDictionary<string, List<string>>(StringComparer.Ordinal);
        foreach (var table in BackupTable.All(context))
        {
            await using var ask = connection.CreateCommand();
            ask.CommandText = $"SELECT {table.Listed} FROM \"{table.Name}\"";
            await using var rows = await ask.ExecuteReaderAsync(Cancellation);
            var told = new List<string>();
            while (await rows.ReadAsync(Cancellation))
            {
                told.Add(string.Join('|', table.Columns.Select((c, i) => Text(rows, c.Kind, i))));
            }

            // In the order of what comes first in each: numbers of the audit log, runs and numbers of events.
            all[table.Name] = [.. told.OrderBy(line => line, StringComparer.Ordinal)];
        }

        return all;
    }

    private static string Text(DbDataReader rows, ColumnKind kind, int i) => rows.IsDBNull(i) ? "null" : kind switch
    {
        ColumnKind.Text => rows.GetString(i),
        ColumnKind.Int or ColumnKind.Long => rows.GetInt64(i).ToString("D20", CultureInfo.InvariantCulture),
        ColumnKind.Real => BitConverter.DoubleToInt64Bits(rows.GetDouble(i)).ToString("x16", CultureInfo.InvariantCulture),
        ColumnKind.Moment => rows.GetDateTime(i).Ticks.ToString(CultureInfo.InvariantCulture),
        _ => Convert.ToHexString(rows.GetFieldValue<byte[]>(i)),
    };

    internal sealed record Counted(int Turns, [property: JsonIgnore] ImmutableArray<AuditAct> Acts) : IWithActs;
}

internal static class PartsOfABackup
{
    public static IEnumerable<string> Parts(this TestDatabase database)
    {
        using var connections = new Disposed(new OpsConnections(database.Database));
        using var context = connections.Of.Context();
        return [.. BackupTable.All(context).Select(t => t.Name)];
    }

    private sealed record Disposed(OpsConnections Of) : IDisposable
    {
        public void Dispose() => Of.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }
}
