using CsCheck;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Tests.Training;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Checkpoints;

/// <summary>
/// What a launch makes of the folder that it finds: the newest whole checkpoint, and nothing is lost that a person may want.
/// </summary>
public sealed class CheckpointFolderTests : IDisposable
{
    private readonly CheckpointDisk _disk = new();

    public void Dispose() => _disk.Dispose();

    [Fact]
    public void The_newest_whole_checkpoint_on_disk_wins_over_the_one_that_the_control_plane_remembers()
    {
        var remembered = _disk.Make(140);
        foreach (long step in new long[] { 160, 180, 960 })
        {
            _disk.Make(step);
        }
        Assert.Equal(960, _disk.Open(attempt: 2).FindUsable(remembered)?.Step);
        Assert.Equal(960, _disk.Open(attempt: 2).FindUsable(null)?.Step);
        Assert.Equal(["step-00000140", "step-00000160", "step-00000180", "step-00000960"], _disk.Names);
        Assert.Empty(_disk.RefusedPaths);
    }

    [Fact]
    public void Of_several_damaged_ones_each_is_moved_aside_and_the_newest_whole_one_is_taken()
    {
        _disk.Make(100);
        _disk.Make(120);
        var newest = _disk.Make(140);
        _disk.Damage(140);
        _disk.Damage(120);
        var folder = _disk.Open(attempt: 2);
        Assert.Equal(100, folder.FindUsable(newest)?.Step);
        Assert.Equal(["refused-step-00000120.attempt-2", "refused-step-00000140.attempt-2", "step-00000100"], _disk.Names);
        Assert.Equal([newest.Path, "run/pretrain/step-00000120"], _disk.RefusedPaths);
        _disk.Save(folder, 120, attempt: 2, keep: 2);
        _disk.Save(folder, 140, attempt: 2, keep: 2);
        // Refused ones are not counted as kept, and never deleted.
        Assert.Equal(["refused-step-00000120.attempt-2", "refused-step-00000140.attempt-2", "step-00000120", "step-00000140"], _disk.Names);
    }

    /// <summary>A disk that fails for a moment, a network folder that is away, rights that were taken.</summary>
    [Theory, InlineData(Manifest.FileName), InlineData(CheckpointDisk.Weights)]
    public void One_that_cannot_be_read_just_now_is_neither_refused_nor_passed_over(string file)
    {
        _disk.Make(100);
        var newest = _disk.Make(120);
        var putBack = _disk.MakeUnreadable(120, file);
        foreach (var wanted in new[] { newest, null })
        {
            var failed = Assert.Throws<IOException>(() => _disk.Open(attempt: 2).FindUsable(wanted));
            Assert.Contains("step-00000120", failed.Message, StringComparison.Ordinal);
        }
        Assert.Equal(["step-00000100", "step-00000120"], _disk.Names);
        Assert.Empty(_disk.RefusedPaths);
        putBack();
        Assert.Equal(120, _disk.Open(attempt: 2).FindUsable(newest)?.Step);
        // It hides nothing that is newer.
        _disk.MakeUnreadable(120, file);
        _disk.Make(140);
        Assert.Equal(140, _disk.Open(attempt: 2).FindUsable(newest)?.Step);
        Assert.Empty(_disk.RefusedPaths);
    }

    [Fact]
    public void One_whose_file_lies_elsewhere_and_is_linked_to_counts_for_one_that_is_kept()
    {
        _disk.Make(20);
        _disk.Make(40);
        _disk.MoveElsewhere(40);
        var folder = _disk.Open(attempt: 1);
        _disk.Save(folder, 60, attempt: 1, keep: 2);
        Assert.Equal(["step-00000040", "step-00000060"], _disk.Names);
        _disk.Damage(60);
        Assert.Equal(40, _disk.Open(attempt: 2).FindUsable(null)?.Step);
    }

    [Fact]
    public void Where_all_are_refused_no_launch_begins_at_step_0_by_itself()
    {
        var only = _disk.Make(20);
        _disk.Damage(20);
        var refusal = Assert.Throws<NoUsableCheckpointException>(() => _disk.Open(attempt: 2).FindUsable(only));
        Assert.Contains("step 20", refusal.Message, StringComparison.Ordinal);
        // Neither the next launch, nor one of a control plane that never heard of a checkpoint.
        Assert.Throws<NoUsableCheckpointException>(() => _disk.Open(attempt: 3).FindUsable(only));
        Assert.Throws<NoUsableCheckpointException>(() => _disk.Open(attempt: 3).FindUsable(null));
        Assert.Equal(["refused-step-00000020.attempt-2"], _disk.Names);
        // A person said that it begins again.
        Assert.Null(_disk.Open(attempt: 4, roundBegan: 3).FindUsable(null));
        Assert.Equal(["refused-step-00000020.attempt-2"], _disk.Names);
    }

    [Fact]
    public void One_that_a_person_put_back_is_used_again()
    {
        var only = _disk.Make(20);
        Directory.Move(_disk.PathOf("step-00000020"), _disk.PathOf("elsewhere"));
        Assert.Throws<NoUsableCheckpointException>(() => _disk.Open(attempt: 2).FindUsable(only));
        Directory.Move(_disk.PathOf("elsewhere"), _disk.PathOf("step-00000020"));
        Assert.Equal(20, _disk.Open(attempt: 3, roundBegan: 2).FindUsable(only)?.Step);
    }

    [Fact]
    public void What_a_retry_left_behind_is_set_aside_until_two_newer_ones_are_good()
    {
        var wanted = _disk.Make(20);
        _disk.Make(40);
        _disk.Make(60, final: true);
        var folder = _disk.Open(attempt: 2, roundBegan: 1);
        Assert.Equal(20, folder.FindUsable(wanted)?.Step);
        Assert.Equal(["step-00000020", "superseded-step-00000040.attempt-1", "superseded-step-00000060.attempt-1"], _disk.Names);
        _disk.Save(folder, 40, attempt: 2, keep: 3);
        Assert.Contains("superseded-step-00000040.attempt-1", _disk.Names);
        _disk.Save(folder, 60, attempt: 2, keep: 3);
        Assert.Equal(["step-00000020", "step-00000040", "step-00000060"], _disk.Names);
    }

    [Fact]
    public void A_retry_may_be_thought_better_of_while_what_it_left_behind_is_there()
    {
        var wanted = _disk.Make(20);
        var left = _disk.Make(40);
        Assert.Equal(20, _disk.Open(attempt: 2, roundBegan: 1).FindUsable(wanted)?.Step);
        Assert.Equal(40, _disk.Open(attempt: 3, roundBegan: 2).FindUsable(left)?.Step);
        Assert.Equal(["step-00000020", "step-00000040"], _disk.Names);
    }

    [Fact]
    public void Retried_from_step_0_everything_is_set_aside_and_nothing_refused()
    {
        _disk.Make(20);
        _disk.Make(40);
        Assert.Null(_disk.Open(attempt: 2, roundBegan: 1).FindUsable(null));
        Assert.Equal(["superseded-step-00000020.attempt-1", "superseded-step-00000040.attempt-1"], _disk.Names);
        Assert.Empty(_disk.RefusedPaths);
    }

    [Fact]
    public void What_is_not_named_exactly_as_we_name_it_is_left_alone_and_counts_for_nothing()
    {
        _disk.Make(1000);
        _disk.Make(1020);
        string[] others = ["step-1000", "step-abc", "step-000001000", "step-00009999", "step-00009998", "step-00005000", "notes"];
        Directory.CreateDirectory(_disk.PathOf("step-1000"));
        Directory.CreateDirectory(_disk.PathOf("step-abc"));
        Directory.CreateDirectory(_disk.PathOf("step-00009999"));
        Directory.CreateDirectory(_disk.PathOf("notes"));
        File.WriteAllText(_disk.PathOf("step-00009998"), "a file");
        _disk.Make(1000, name: "step-000001000");
        // A copy under another step's name is not that step.
        _disk.Make(1000, name: "step-00005000");
        var folder = _disk.Open(attempt: 2);
        Assert.Equal(1020, folder.FindUsable(null)?.Step);
        _disk.Save(folder, 1040, attempt: 2, keep: 2);
        Assert.Equal([.. others.Append("step-00001020").Append("step-00001040").Order(StringComparer.Ordinal)], _disk.Names);
        Assert.Empty(_disk.Notes);
        Assert.Empty(_disk.RefusedPaths);
    }

    [Fact]
    public void A_checkpoint_that_cannot_be_deleted_is_told_once_and_as_what_it_is()
    {
        _disk.Make(20);
        var folder = _disk.Open(attempt: 1);
        // Stands where the old one would be moved to before it is deleted.
        File.WriteAllText(_disk.PathOf(".step-00000020.attempt-1.deleted.tmp"), "in the way");
        foreach (long step in new long[] { 40, 60, 80 })
        {
            _disk.Save(folder, step, attempt: 1, keep: 2);
        }
        string note = Assert.Single(_disk.Notes);
        Assert.StartsWith("The checkpoint of step 20 could not be deleted: ", note, StringComparison.Ordinal);
        Assert.DoesNotContain("written", note, StringComparison.Ordinal);
        Assert.Equal([20L, 60, 80], folder.Steps().Order());
    }

    [Fact]
    public void What_is_damaged_is_not_counted_for_one_that_is_kept()
    {
        var folder = _disk.Open(attempt: 1);
        foreach (long step in new long[] { 20, 40, 60 })
        {
            _disk.Save(folder, step, attempt: 1, keep: 3);
        }
        _disk.Damage(60);
        _disk.Save(folder, 80, attempt: 1, keep: 3);
        Assert.Equal(["step-00000020", "step-00000040", "step-00000060", "step-00000080"], _disk.Names);
        _disk.Save(folder, 100, attempt: 1, keep: 3);
        Assert.Equal(["step-00000040", "step-00000060", "step-00000080", "step-00000100"], _disk.Names);
    }

    [Fact]
    public void Checkpoints_of_another_registration_are_neither_used_nor_touched()
    {
        _disk.Make(520, registration: "of-another-run");
        _disk.Make(540, registration: "of-another-run");
        var folder = _disk.Open(attempt: 1);
        Assert.Null(folder.FindUsable(null));
        for (long step = 500; step <= 560; step += 20)
        {
            _disk.Save(folder, step, attempt: 1, keep: 2);
        }
        Assert.Equal(["step-00000540", "step-00000560", "superseded-step-00000520.attempt-1", "superseded-step-00000540.attempt-1"],
            _disk.Names);
    }

    [Fact]
    public void A_launch_that_is_over_touches_nothing_of_a_later_attempt()
    {
        var old = _disk.Make(20, attempt: 1);
        _disk.Make(40, attempt: 3);
        _disk.Make(60, attempt: 3);
        File.WriteAllText(Path.Combine(_disk.PathOf("step-00000060"), Manifest.FileName), "{ torn");
        var over = Assert.Throws<InvalidOperationException>(() => _disk.Open(attempt: 2).FindUsable(old));
        Assert.Contains("attempt 3", over.Message, StringComparison.Ordinal);
        Assert.Equal(["step-00000020", "step-00000040", "step-00000060"], _disk.Names);
    }

    [Fact]
    public void Manifests_from_before_runs_were_registered_belong_to_a_run_from_before()
    {
        _disk.Make(20, registration: "");
        Assert.Equal(20, _disk.Open(attempt: 2, registration: "").FindUsable(null)?.Step);
        File.WriteAllText(
            Path.Combine(_disk.PathOf("step-00000020"), Manifest.FileName),
            File.ReadAllText(Path.Combine(_disk.PathOf("step-00000020"), Manifest.FileName))
                .Replace("\"registration\": \"\"", "\"unknown\": \"\"", StringComparison.Ordinal));
        Assert.Equal(20, _disk.Open(attempt: 2, registration: "").FindUsable(null)?.Step);
    }

    [Fact]
    public void A_crash_while_a_step_is_saved_again_leaves_the_older_one_to_be_found()
    {
        _disk.Make(20);
        _disk.Make(40);
        Directory.Move(_disk.PathOf("step-00000040"), _disk.PathOf("superseded-step-00000040.attempt-1"));
        Assert.Equal(40, _disk.Open(attempt: 2).FindUsable(null)?.Step);
        Assert.Equal(["step-00000020", "step-00000040"], _disk.Names);
    }

    /// <summary>Steps 20 to 100, each absent, whole or damaged, made before or after a person's retry, by this run or another.</summary>
    [Fact]
    public void Whatever_lies_there_the_newest_whole_one_of_this_round_is_taken_and_no_checkpoint_disappears() =>
        Gen.Select(Gen.Select(Gen.Int[0, 2], Gen.Bool, Gen.Int[0, 9]).Array[5], Gen.Int[-1, 4]).Sample((steps, known) =>
        {
            using var disk = new CheckpointDisk();
            const int RoundBegan = 2;
            var made = steps.Select((s, i) => (Step: 20L * (i + 1), State: s.Item1, Late: s.Item2, Own: s.Item3 > 0))
                .Where(m => m.State > 0).ToList();
            var refs =
                made.ToDictionary(m => m.Step,
                    m => disk.Make(m.Step, m.Late ? RoundBegan + 1 : RoundBegan, m.Own ? CheckpointDisk.Registration : "other"));
            made.Where(m => m.State == 2).ToList().ForEach(m => disk.Damage(m.Step));
            var wanted = made.Where(m => m.Own).Select(m => refs[m.Step]).ElementAtOrDefault(known);
            var candidates = made.Where(m => m.Own && (m.Late || m.Step <= (wanted?.Step ?? 0)));
            long? newest = candidates.Where(m => m.State == 1).Select(m => (long?)m.Step).Max();
            var folder = disk.Open(RoundBegan + 2, RoundBegan);
            bool beyondStart = wanted is not null || made.Any(m => m is { Own: true, Late: true, State: 2 });
            if (newest is null && beyondStart)
            {
                Assert.Throws<NoUsableCheckpointException>(() => folder.FindUsable(wanted));
            }
            else
            {
                Assert.Equal(newest, folder.FindUsable(wanted)?.Step);
            }
            Assert.Equal(made.Count, Directory.EnumerateFiles(disk.Folder, Manifest.FileName, SearchOption.AllDirectories).Count());
            Assert.All(made.Where(m => !m.Own), m => Assert.Contains($"step-{m.Step:D8}", disk.Names));
        }, iter: 300);
}
