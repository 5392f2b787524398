using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Checkpoints;

/// <summary>What an agent finds of a checkpoint on a disk. No process, and a tenth of a second in all.</summary>
public sealed class CheckpointReaderTests : IDisposable
{
    private const int Step = 10;

    private readonly CheckpointDisk disk = new();
    private readonly CheckpointRef made;
    private readonly List<TimeSpan> rests = [];

    public CheckpointReaderTests()
    {
        _ = disk.Open(attempt: 1);
        made = disk.Make(Step);
    }

    public void Dispose() => disk.Dispose();

    [Fact]
    public void A_whole_one_is_whole_and_the_reader_rests_nine_times_as_long_as_it_works()
    {
        Assert.Empty(Assert.IsType<ShareRead.Whole>(Read()).Odd);
        Assert.NotEmpty(rests);
        Assert.All(rests, rest => Assert.True(rest > TimeSpan.Zero));
    }

    [Fact]
    public void A_flipped_bit_a_cut_file_and_a_missing_one_are_damage_and_the_reason_names_the_file()
    {
        string weights = Path.Combine(disk.PathOf($"step-{Step:D8}"), CheckpointDisk.Weights);
        byte[] right = File.ReadAllBytes(weights);
        byte[] flipped = [.. right[..^1], (byte)(right[^1] ^ 1)];
        File.WriteAllBytes(weights, flipped);
        Assert.Contains($"{CheckpointDisk.Weights} has SHA-256", Assert.IsType<ShareRead.Damaged>(Read()).Reason, StringComparison.Ordinal);
        // Another share of it is none of this agent's.
        Assert.IsType<ShareRead.Whole>(Read(share: 1, of: 2));
        File.WriteAllBytes(weights, right[..^1]);
        Assert.Contains($"has {right.Length - 1} bytes; its manifest says {right.Length}", Assert.IsType<ShareRead.Damaged>(Read()).Reason,
            StringComparison.Ordinal);
        File.Delete(weights);
        Assert.EndsWith($"{CheckpointDisk.Weights} is not there", Assert.IsType<ShareRead.Damaged>(Read()).Reason,
            StringComparison.Ordinal);
        File.WriteAllBytes(weights, right);
        Assert.IsType<ShareRead.Whole>(Read());
    }

    [Fact]
    public void What_reads_wrongly_once_and_rightly_the_next_time_is_whole_and_is_told()
    {
        string weights = Path.Combine(disk.PathOf($"step-{Step:D8}"), CheckpointDisk.Weights);
        byte[] right = File.ReadAllBytes(weights);
        File.WriteAllBytes(weights, [.. right[..^1], (byte)(right[^1] ^ 1)]);
        // The rest after the first piece: by the second reading it is right.
        var read = new CheckpointReader(TimeProvider.System).Read(Root, Order(0, 1), _ => File.WriteAllBytes(weights, right));
        Assert.Equal([CheckpointDisk.Weights], Assert.IsType<ShareRead.Whole>(read).Odd);
    }

    [Fact]
    public void A_disk_that_fails_is_no_damage_and_another_one_of_the_step_or_none_is_gone()
    {
        var mend = disk.MakeUnreadable(Step, CheckpointDisk.Weights);
        Assert.IsType<ShareRead.Unreadable>(Read());
        mend();
        disk.Make(Step, attempt: 2);
        Assert.Contains("was registered", Assert.IsType<ShareRead.Gone>(Read()).Reason, StringComparison.Ordinal);
        Directory.Delete(disk.PathOf($"step-{Step:D8}"), recursive: true);
        Assert.IsType<ShareRead.Gone>(Read());
    }

    [Fact]
    public void A_damaged_one_lies_where_a_launch_would_have_put_it_and_one_that_was_made_since_stays()
    {
        var bounds = new LaunchBounds("run", "pretrain", 3, 0, [CheckpointDisk.Registration]);
        disk.Make(20, attempt: 3);
        disk.Damage(Step);
        Assert.Null(CheckpointFolder.SetAside(bounds, Root, made.Path, made.Digest, "it is cut"));
        Assert.Null(CheckpointFolder.SetAside(bounds, Root, $"run/pretrain/step-{20:D8}", "of the one before", "it is cut"));
        Assert.Equal([$"refused-step-{Step:D8}.attempt-3", $"step-{20:D8}"], disk.Names);
        Assert.StartsWith("it is cut", File.ReadAllText(Path.Combine(disk.PathOf(disk.Names[0]), "refused.txt")), StringComparison.Ordinal);
        // A launch that finds nothing else knows by it that the stage has been beyond step 0.
        Directory.Delete(disk.PathOf($"step-{20:D8}"), recursive: true);
        Assert.Throws<NoUsableCheckpointException>(() => disk.Open(attempt: 4).FindUsable(null));
    }

    private string Root => Path.GetFullPath(Path.Combine(disk.Folder, "..", ".."));

    private ShareRead Read(int share = 0, int of = 1) =>
        new CheckpointReader(TimeProvider.System).Read(Root, Order(share, of), rests.Add);

    private ReadOrder Order(int share, int of) => new() { Id = 1, Path = made.Path, Digest = made.Digest, Share = share, Of = of };
}
