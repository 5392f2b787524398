using System.Security.Cryptography;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

/// <summary>`dsops backup` and `restore` on folders of this machine. Two seconds of a core.</summary>
public sealed class BackupVerbsTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("dsops-backup-").FullName;

    private string Old => Path.Combine(folder, "old");

    private string New => Path.Combine(folder, "new");

    private string Out => Path.Combine(folder, "ops.backup");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_was_backed_up_is_checked_and_restored_and_checkpoints_that_are_missing_are_named()
    {
        await MakeOld();
        var (code, output, error) = await Run("backup", "--data-dir", Old, "--out", Out);
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("ops.backup: ", output, StringComparison.Ordinal);
        Assert.Contains("read back once", output, StringComparison.Ordinal);
        Assert.Contains("3 checkpoints are named and not copied", output, StringComparison.Ordinal);
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Out));
        }

        Assert.Equal([Old, Out], Directory.EnumerateFileSystemEntries(folder).Order(StringComparer.Ordinal));
        (code, output, _) = await Run("restore", Out, "--check");
        Assert.Equal(0, code);
        Assert.Contains("is as it was written, by dsops ", output, StringComparison.Ordinal);

        await Checkpoint(New, "step-00000010", "ten");
        await Checkpoint(New, "step-00000050", "saved after the backup");
        (code, output, error) = await Run("restore", Out, "--data-dir", New, "--key-file", Path.Combine(Old, "dsops.key"));
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("Of 3 checkpoints 1 are in ", output, StringComparison.Ordinal);
        Assert.Contains("1 in a store alone, 1 cannot be reached", output, StringComparison.Ordinal);
        Assert.Contains("mini/pretrain has a later one there, of step 50", output, StringComparison.Ordinal);
        Assert.Contains($"missing: {New}/checkpoints/mini/pretrain/step-00000020 (mini/pretrain step 20)", output,
            StringComparison.Ordinal);
        Assert.Equal(await File.ReadAllTextAsync(Path.Combine(Old, "dsops.key"), Cancellation),
            await File.ReadAllTextAsync(Path.Combine(New, "dsops.key"), Cancellation));
        Assert.True(OperatingSystem.IsWindows() || File.GetUnixFileMode(Path.Combine(New, "dsops.db"))
            == (UnixFileMode.UserRead | UnixFileMode.UserWrite));
        // The restored one can be backed up in its turn; it is another database.
        string again = Path.Combine(folder, "again.backup");
        var told = JsonNode.Parse((await Run("backup", "--data-dir", New, "--out", again, "--json")).Output)!["manifest"]!;
        var first = JsonNode.Parse((await Run("restore", Out, "--check", "--json")).Output)!["manifest"]!;
        Assert.NotEqual((string?)first["identity"], (string?)told["identity"]);
        // The restore itself is the log's first line here, sealed by the key that was named.
        Assert.Equal(("", AccessKeyOf(Old)), ((string?)first["sealedBy"], (string?)told["sealedBy"]));
    }

    [Fact]
    public async Task A_backup_that_cannot_be_made_says_why_and_leaves_nothing()
    {
        await Refused("There is no database in", "backup", "--data-dir", New, "--out", Out);
        await MakeOld();
        await File.WriteAllTextAsync(Out, "mine", Cancellation);
        await Refused("is there already", "backup", "--data-dir", Old, "--out", Out);
        Assert.Equal("mine", await File.ReadAllTextAsync(Out, Cancellation));
        await Refused("Cannot write", "backup", "--data-dir", Old, "--out", Path.Combine(folder, "nowhere", "ops.backup"));
        Directory.CreateDirectory(New);
        await File.WriteAllTextAsync(Path.Combine(New, "database.json"),
            """{"identity":"i","place":"PostgreSQL at db:5432/ops","folder":"/x"}""", Cancellation);
        await Refused("belongs to PostgreSQL at db:5432/ops", "backup", "--data-dir", New, "--out", Path.Combine(folder, "b"));
        await Refused("nothing answers at 127.0.0.1:1/ops", "backup", "--database", "Host=127.0.0.1;Port=1;Username=ops;Database=ops",
            "--out", Path.Combine(folder, "b"));
        Assert.Equal([New, Old, Out], Directory.EnumerateFileSystemEntries(folder).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task What_cannot_be_restored_leaves_the_folder_as_it_was()
    {
        await MakeOld();
        await Run("backup", "--data-dir", Old, "--out", Out);
        byte[] whole = await File.ReadAllBytesAsync(Out, Cancellation);
        string cut = Path.Combine(folder, "cut.backup");
        await File.WriteAllBytesAsync(cut, whole[..^100], Cancellation);
        await Refused("it ends within its part manifest", "restore", cut, "--data-dir", New);
        await Refused("is no file", "restore", Path.Combine(folder, "nothing"), "--data-dir", New);
        Assert.False(Directory.Exists(New), "it makes no folder");

        await File.WriteAllBytesAsync(cut, [.. "dsops backup 2\n"u8, .. whole], Cancellation);
        await Refused("it is of format 2, and this dsops reads format 1", "restore", cut, "--data-dir", New);
        await Refused($"The data directory {Old} is not empty: it has dsops.db", "restore", Out, "--data-dir", Old);
        using (new FileStream(Path.Combine(Old, "dsops.lock"), FileMode.Create, FileAccess.ReadWrite, FileShare.None))
        {
            Assert.Equal(ExitCode.InUse, await Refused("is in use by another `dsops`", "restore", Out, "--data-dir", Old));
        }

        string deep = Path.Combine(New, "within", "another");
        await Refused("is not a key of dsops", "restore", Out, "--data-dir", deep, "--key-file", Path.Combine(Old, "dsops.db"));
        Assert.False(Directory.Exists(New), "folders above it go too");

        // In the middle of it: the key that was named is none.
        await File.WriteAllTextAsync(Path.Combine(folder, "key"), "no key", Cancellation);
        await Refused("is not a key of dsops", "restore", Out, "--data-dir", New, "--key-file", Path.Combine(folder, "key"));
        Assert.False(Directory.Exists(New), "the folder that was made is taken away again");
        Directory.CreateDirectory(New);
        await File.WriteAllTextAsync(Path.Combine(New, "mine"), "", Cancellation);
        await Refused("is not a key of dsops", "restore", Out, "--data-dir", New, "--key-file", Path.Combine(folder, "key"));
        Assert.Equal([Path.Combine(New, "mine")], Directory.EnumerateFileSystemEntries(New));
    }

    /// <summary>A backup that is killed each night filled the disk that the next one needed.</summary>
    [Fact]
    public async Task What_killed_backups_left_goes_with_the_next_and_nothing_of_others()
    {
        await MakeOld();
        // As a process of an ended number leaves it: the highest that Linux gives is 4194304.
        const int gone = 4_194_305;
        byte[] begun = "dsops backup 1\nand so on"u8.ToArray();
        await Left($".ops.backup.{gone}.tmp", []);
        await Left($".other.backup.{gone}.tmp", begun);
        // A pod's program has the same number each time.
        await Left($".ops.backup.{Environment.ProcessId}.tmp", begun);
        string[] stay =
        [
            $".letter.{gone}.tmp", ".ops.backup.1.tmp", $".held.backup.{gone}.tmp", $".run.dsops.{gone}.tmp", ".ops.backup.tmp",
        ];
        foreach (string name in stay)
        {
            await Left(name, name.Contains("letter", StringComparison.Ordinal) ? "somebody's"u8.ToArray()
                : name.Contains("run", StringComparison.Ordinal) ? "dsops run 1\n"u8.ToArray() : begun);
        }

        using (new FileStream(Path.Combine(folder, $".held.backup.{gone}.tmp"), FileMode.Open, FileAccess.ReadWrite, FileShare.Read))
        {
            Assert.Equal(0, (await Run("backup", "--data-dir", Old, "--out", Out)).Code);
        }

        Assert.Equal(stay.Order(StringComparer.Ordinal),
            Directory.EnumerateFiles(folder, ".*").Select(Path.GetFileName).Order(StringComparer.Ordinal));

        await Left(Path.Combine("new", $".dsops.db.{gone}.tmp"), begun);
        Assert.Equal(0, (await Run("restore", Out, "--data-dir", New)).Code);
        Assert.Equal(["dsops.db", "dsops.key", "dsops.lock", "dsops.pid"],
            Directory.EnumerateFileSystemEntries(New).Select(Path.GetFileName).Order(StringComparer.Ordinal));

        async Task Left(string name, byte[] content)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(folder, name)) ?? folder);
            await File.WriteAllBytesAsync(Path.Combine(folder, name), content, Cancellation);
        }
    }

    public void Dispose()
    {
        Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>A data directory with a key and three checkpoints, one of which has a copy in a store.</summary>
    private async Task MakeOld()
    {
        Directory.CreateDirectory(Old);
        await File.WriteAllTextAsync(Path.Combine(Old, "dsops.key"), new string('A', 43), Cancellation);
        var database = OpsDatabase.Parse(null, Old);
        await StorageHosting.Prepare(database, Cancellation);
        await using var room = new ServiceCollection().AddLogging(l => l.ClearProviders()).AddStorage(database).BuildServiceProvider();
        var registry = room.GetRequiredService<CheckpointRegistry>();
        for (int step = 10; step <= 30; step += 10)
        {
            string path = FormattableString.Invariant($"step-{step:00000000}");
            string digest = await Checkpoint(Old, path, step == 10 ? "ten" : path);
            var made = new CheckpointMade(step, $"mini/pretrain/{path}", 1_000, digest, 0, 1, "", default, default,
                DateTimeOffset.UnixEpoch, 1, Final: false);
            await registry.Record(new StageId("mini", "pretrain"), new StageCheckpoint(made, CheckpointState.Good, "", "")
            {
                Stored = step == 30 ? new StoredCopy($"s3://bucket/{path}", DateTimeOffset.UnixEpoch, TimeSpan.Zero) : null,
            }, Cancellation);
        }
    }

    private static string AccessKeyOf(string data) => KeyFile.Read(Path.Combine(data, "dsops.key")).Fingerprint;

    private static async Task<string> Checkpoint(string data, string path, string text)
    {
        string place = Path.Combine(data, "checkpoints", "mini", "pretrain", path);
        Directory.CreateDirectory(place);
        await File.WriteAllTextAsync(Path.Combine(place, "manifest.json"), text, Cancellation);
        return Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(text)));
    }

    private static async Task<int> Refused(string why, params string[] words)
    {
        var (code, _, error) = await Run(words);
        Assert.Contains(why, error, StringComparison.Ordinal);
        Assert.Contains("fix: ", error, StringComparison.Ordinal);
        Assert.NotEqual(0, code);
        return code;
    }

    private static async Task<(int Code, string Output, string Error)> Run(params string[] words)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int code = await CommandLine.Run(words, new Terminal(output, error, 4_000, Colors: false, Interactive: false), Cancellation);
        return (code, output.ToString(), error.ToString());
    }
}
