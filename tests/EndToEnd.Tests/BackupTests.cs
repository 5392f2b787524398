using System.Text.Json.Nodes;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>A machine is lost, and what it had is restored from last night's file on another one.</summary>
public sealed class BackupTests(Shared shared)
{
    private const int AtBackup = 20, AtLoss = 45, Further = 40;

    [Fact]
    public async Task A_run_that_was_backed_up_while_it_trained_goes_on_on_an_empty_machine()
    {
        await using var old = await Dsops.Start();
        string file = $"{old.DataDirectory}.backup";
        try
        {
            await old.Submit(SideBySide.Pipeline("kept"));
            await old.UntilStage("kept", "pretrain", $"is beyond step {AtBackup}", Eventually.Patience, s => Step(s) > AtBackup);
            string told = await old.Answer("backup", "--out", file);
            Assert.Contains("(1 not ended)", told, StringComparison.Ordinal);
            // What is trained and saved after the backup is not in it, and yet not lost.
            await old.UntilStage("kept", "pretrain", $"is beyond step {AtLoss}", Eventually.Patience, s => Step(s) > AtLoss);
            await LoseAll(old);

            await using var other = await Dsops.StartOn(folder => Restore(old.DataDirectory, file, folder));
            var stage = await other.UntilStage("kept", "pretrain", "trains again", Eventually.Patience,
                s => (string?)s["state"] == "running" && Step(s) > AtLoss);
            Assert.InRange((int)stage["attempt"]!, 1_001, int.MaxValue);
            var events = (await other.Json("events", "kept")).AsArray();
            Assert.Contains(events, e => (string?)e!["kind"] == "put-back");
            await SideBySide.SameWeights(other, "kept", Step(stage) + Further);
            Assert.Contains("each as it was written", await other.Answer("audit", "verify"), StringComparison.Ordinal);
            Assert.Equal(0, await other.Stop());
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>
    /// A file system of the process's own, and too small: what was written goes, and no sentence promises what does not come.
    /// </summary>
    [Theory]
    [InlineData("size=64k", "mkdir $D/new && echo mine > $D/new/mine", "mine new")]
    [InlineData("size=64k", "true", "")]
    [InlineData("size=4k", "mkdir $D/new && (cat /dev/zero > $D/all || true) 2>/dev/null", "all new")]
    public async Task A_restore_onto_a_full_disk_says_so_and_leaves_the_folder_as_it_was(string size, string before, string after)
    {
        string folder = Directory.CreateTempSubdirectory("dsops-full-").FullName;
        try
        {
            string file = Path.Combine(folder, "ops.backup"), small = Path.Combine(folder, "small");
            Directory.CreateDirectory(small);
            await (await shared.Idle).Answer("backup", "--out", file);
            var (code, output, error) = await Dsops.WithMounts($"D={small}; mount -t tmpfs -o {size} tmpfs $D && {before} || exit 99; "
                + $"$DSOPS restore {file} --data-dir $D/new; c=$?; echo $(find $D -mindepth 1 -printf '%f\\n' | sort); exit $c");
            Assert.SkipWhen(code == 99 || error.StartsWith("unshare:", StringComparison.Ordinal),
                "no file system of its own may be mounted here");
            Assert.Equal((1, after), (code, output.Trim()));
            Assert.DoesNotContain("by itself", error, StringComparison.Ordinal);
            Assert.Contains("Free space", error, StringComparison.OrdinalIgnoreCase);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static long Step(JsonNode stage) => (long)stage["step"]!;

    /// <summary>kill -9 of whatever there is, as a machine does it whose plug is drawn.</summary>
    private static async Task LoseAll(Dsops dsops)
    {
        var ranks = (await dsops.Show("kept"))["stages"]!.AsArray().SelectMany(s => s!["ranks"]!.AsArray())
            .Select(r => (int)r!["pid"]!).Where(pid => pid > 0).ToList();
        await dsops.KillControlPlane();
        foreach (int pid in dsops.LiveAgents().Concat(ranks).ToList())
        {
            Dsops.Kill(pid);
        }

        await Eventually.Is("all are gone", Eventually.Patience,
            () => Task.FromResult(!dsops.LiveAgents().Any() && !ranks.Any(Dsops.IsAlive)));
    }

    /// <summary>As the operating guide has it: checkpoints and key are moved, the rest comes from the file.</summary>
    private static void Restore(string old, string file, string folder)
    {
        Directory.Move(Path.Combine(old, "checkpoints"), Path.Combine(folder, "checkpoints"));
        File.Copy(Path.Combine(old, "dsops.key"), Path.Combine(folder, "dsops.key"));
        var (code, output, error) = Dsops.Run("restore", file, "--data-dir", folder).GetAwaiter().GetResult();
        Assert.True(code == 0, $"{output}{error}");
    }
}
