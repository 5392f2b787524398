using System.IO.Compression;
using System.Text;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Backups;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Backups;
using DeepSeekOps.Decisions.Checkpoints;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>Files whose sums are right and which no dsops wrote. One second of a core, most of it a database that is made.</summary>
public sealed class RunArchiveTests(PrivatePostgres postgres)
{
    private static readonly DateTime At = new(2026, 11, 29, 5, 0, 0, DateTimeKind.Utc);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whoever_forges_a_file_writes_to_no_other_run_and_into_no_statement()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        var room = database.Room();
        await using var context = room.GetRequiredService<OpsConnections>().Context();
        var tables = BackupTable.All(context).ToDictionary(t => t.Name);
        string right = EventOf("mini");

        Assert.Equal("", await Said(tables["event"], Event("mini", right)));
        Assert.Equal("", await Said(tables["checkpoint"], Checkpoint("mini/pretrain/step-00000020")));
        Assert.Equal("", await Said(tables["checkpoint"], Checkpoint("simulated/mini/pretrain/step-00000020")));
        Assert.Contains("a row of event is of another run", await Said(tables["event"], Event("other", right)), StringComparison.Ordinal);
        Assert.Contains("a row of event tells of another run", await Said(tables["event"], Event("mini", EventOf("other"))),
            StringComparison.Ordinal);
        Assert.Contains("a row of event cannot be read", await Said(tables["event"], Event("mini", "{")), StringComparison.Ordinal);
        Assert.Contains("a row of event cannot be read", await Said(tables["event"], Event("mini", "null")), StringComparison.Ordinal);
        foreach (string path in new[]
        {
            "../mini/pretrain/step-00000020", "other/pretrain/step-00000020", "/etc", "mini/pretrain/step-00000021",
        })
        {
            Assert.Contains("a row of checkpoint tells of another run", await Said(tables["checkpoint"], Checkpoint(path)),
                StringComparison.Ordinal);
        }

        // Names become part of a statement: only ours do, with their columns as we have them.
        foreach (var table in new[]
        {
            tables["audit"], tables["access_token"], tables["grain_state"], tables["event"] with { Name = "nothing" },
            tables["event"] with { Columns = [.. tables["event"].Columns, new("x) VALUES (1); DROP TABLE run; --", ColumnKind.Int)] },
            tables["event"] with { Columns = tables["event"].Columns.RemoveAt(0) },
        })
        {
            Assert.Contains("a table in it has not the columns that it has here", await Said(table), StringComparison.Ordinal);
        }

        async Task<string> Said(BackupTable table, params object[][] rows)
        {
            using var file = await Forged(table, rows);
            using var reader = new BackupReader(file, BackupFile.OneRun);
            var manifest = reader.Verify<RunManifest>(Cancellation);
            try
            {
                await room.GetRequiredService<RunArchive>().Look(reader, manifest, Cancellation);
                return "";
            }
            catch (BackupUnusableException e)
            {
                return e.Message;
            }
        }

        object[] Event(string run, string body) =>
            Row(tables["event"], ("run", run), ("number", 1L), ("at", At), ("body", body), ("digest", new byte[32]));
        object[] Checkpoint(string path) => Row(tables["checkpoint"], ("run", "mini"), ("stage", "pretrain"), ("step", 20L),
            ("state", "Good"), ("at", At), ("body", LedgerJson.Write(new StageCheckpoint(
                new CheckpointMade(20, path, 1, "", 1, 1, "", TimeSpan.Zero, TimeSpan.Zero, At, 1, false), CheckpointState.Good, "", ""))));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{\"parts\":null}")]
    public void A_manifest_that_lists_nothing_is_refused_in_words(string text)
    {
        var file = new MemoryStream();
        file.Write(BackupFile.OneRun.FirstLine);
        using (var part = new PartWriter(file, BackupFile.ManifestName))
        {
            using (var content = new BrotliStream(part, CompressionLevel.Fastest, leaveOpen: true))
            {
                content.Write(Encoding.UTF8.GetBytes(text));
            }

            part.End();
        }

        file.Position = 0;
        using var reader = new BackupReader(file, BackupFile.OneRun);
        Assert.Throws<BackupUnusableException>(() => reader.Verify<RunManifest>(Cancellation));
    }

    private static string EventOf(string run) => LedgerJson.Write(new RunEvent(At, run, "", 0, "note", EventLevel.Info, "text"));

    private static object[] Row(BackupTable table, params (string Name, object Value)[] values) =>
        [.. table.Columns.Select(c => values.Single(v => v.Name == c.Name).Value)];

    private static async Task<MemoryStream> Forged(BackupTable table, object[][] rows)
    {
        var file = new MemoryStream();
        file.Write(BackupFile.OneRun.FirstLine);
        var part = await StoreSnapshot.Part(table, file, writer =>
        {
            Array.ForEach(rows, row => writer.Write(i => row[i]));
            return Task.CompletedTask;
        });
        await StoreSnapshot.Manifest(new RunManifest(1, "1.0", At, "mini", "research", "completed", false, [], [part]), file, Cancellation);
        file.Position = 0;
        return file;
    }
}
