using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Tests.Training;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Checkpoints;

[Collection(RandomNumbers.OneStream)]
public sealed class SaveFailureTests : IDisposable
{
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(double.NegativeInfinity)]
    [InlineData(2.5)]
    public void A_manifest_holds_whatever_number_its_loss_is(double loss)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_mini.Root, "step")).FullName;
        var manifest = new Manifest(Manifest.CurrentFormat, "r", "s", 1, 1, new Position(4, 64, 1, 2, loss), "", false, null, []);
        File.WriteAllBytes(Path.Combine(folder, Manifest.FileName), manifest.ToBytes());
        Assert.Equal(loss, Manifest.Verify(folder, "").Position.Loss);
    }

    [Fact]
    public void A_manifest_of_an_older_version_is_read_as_ever()
    {
        var folder = Directory.CreateDirectory(Path.Combine(_mini.Root, "step")).FullName;
        File.WriteAllText(Path.Combine(folder, Manifest.FileName), """
            {"format": 1, "run": "r", "stage": "s", "attempt": 1, "seed": 1, "dataCursor": "", "final": false,
             "beganFrom": null, "files": [],
             "position": {"step": 4, "tokens": 64, "document": 1, "offset": 2, "loss": 1.5}}
            """);
        Assert.Equal(new Position(4, 64, 1, 2, 1.5), Manifest.Verify(folder, "").Position);
    }

    [Fact]
    public void A_save_that_fails_by_a_fault_of_the_program_ends_the_launch_at_once_and_as_what_it_is()
    {
        var plan = _mini.Plan("pretrain");
        using var link = new Agent.RecordingRankLink();
        using var saver = new CheckpointSaver(
            new CheckpointFolder(_mini.Root, new LaunchBounds("test", "pretrain", 1, 0, [""]), link), plan.Checkpoints, link,
            TimeProvider.System);
        var manifest = new Manifest(Manifest.CurrentFormat, "test", "pretrain", 1, 1, new Position(4, 64, 1, 2, 1), "", false, null, []);
        // A name that no file can have stands for any fault of the program.
        var texts = new Dictionary<string, byte[]> { ["a\0b"] = [1] };
        saver.Save(manifest, new Snapshot(new Dictionary<string, IReadOnlyList<Piece>>(), texts));
        var failed = Assert.Throws<CheckpointFailedException>(saver.Wait);
        Assert.StartsWith("Saving the checkpoint of step 4 failed by a fault of this program: ", failed.Message, StringComparison.Ordinal);
        Assert.Throws<CheckpointFailedException>(saver.ThrowIfFailed);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_mini.Root, "test", "pretrain")));
    }

    [Theory]
    [InlineData(typeof(UnauthorizedAccessException), 0, "has to be able to write under")]
    [InlineData(typeof(IOException), 30, "whether it is mounted read-only")]
    [InlineData(typeof(IOException), 28, "Free space under")]
    [InlineData(typeof(IOException), 5, "Look at /checkpoints and the file system")]
    public void What_to_do_about_a_save_that_failed_fits_why_it_did(Type kind, int code, string fix)
    {
        var why = (Exception)Activator.CreateInstance(kind, "refused")!;
        why.HResult = code;
        string told = "";
        new FailedSaves("/checkpoints", (words, _) => told = words).Failed(4, why);
        Assert.Contains(fix, told, StringComparison.Ordinal);
        Assert.Equal(code == 28, told.Contains("Free space", StringComparison.Ordinal));
    }

    [Fact]
    public void A_disk_that_is_full_for_many_saves_is_told_once_and_their_number_when_one_is_durable_again()
    {
        var plan = _mini.Plan("pretrain");
        using var link = new Agent.RecordingRankLink();
        using var saver = new CheckpointSaver(
            new CheckpointFolder(_mini.Root, new LaunchBounds("test", "pretrain", 1, 0, [""]), link), plan.Checkpoints, link,
            TimeProvider.System);
        foreach (long step in (long[])[4, 8, 12, 16, 20, 24])
        {
            string written = Path.Combine(_mini.Root, "test", "pretrain", $".step-{step:D8}.attempt-1.tmp");
            if (step is 8 or 12 or 16 or 24)
            {
                Directory.CreateDirectory(written);
                File.CreateSymbolicLink(Path.Combine(written, "some.json"), "/dev/full");
            }
            saver.Save(new Manifest(Manifest.CurrentFormat, "test", "pretrain", 1, 1, new Position(step, 64, 1, 2, 1), "", false, null, []),
                new Snapshot(new Dictionary<string, IReadOnlyList<Piece>>(),
                    new Dictionary<string, byte[]> { ["some.json"] = new byte[100] }));
            saver.Wait();
        }
        string[] told = [.. link.Reports.Where(r => r.Note is not null).Select(r => r.Note.Text)];
        Assert.Equal(3, told.Length);
        Assert.StartsWith("The checkpoint of step 8 could not be written: No space left on device", told[0], StringComparison.Ordinal);
        Assert.Equal("The checkpoint of step 20 is written again; 3 before it could not be, from step 8 to 16.", told[1]);
        Assert.StartsWith("The checkpoint of step 24 could not be written", told[2], StringComparison.Ordinal);
        Assert.Equal([4L, 20], link.Reports.Where(r => r.Checkpoint is not null).Select(r => r.Checkpoint.Step));
    }
}
