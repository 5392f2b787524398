using Amazon.Runtime;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Checkpoints.Store;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Checkpoints.Store;

/// <summary>Which copies are made, kept and taken; checkpoints of one number. A second of one core.</summary>
public sealed class StoreCopiesTests : IAsyncLifetime
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(20);
    private readonly CheckpointDisk _disk = new();
    private TestStore _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestStore.Start();

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _disk.Dispose();
    }

    [Fact]
    public void A_store_that_is_away_is_told_once_and_has_what_it_lacked_when_it_is_back()
    {
        _server.Away = true;
        var store = Store();
        var folder = _disk.Open(1, store);
        using var copies = Copies(store, folder);
        _disk.Save(folder, 4, 1, keep: 2);
        copies.Written(4);
        Until(() => Away.Count == 1);
        _disk.Save(folder, 8, 1, keep: 2);
        copies.Written(8);
        Assert.False(copies.Finish(TimeSpan.FromMinutes(1), whileAway: false, () => { }));
        _server.Away = false;
        Assert.True(copies.Finish(TimeSpan.FromMinutes(1), whileAway: true, () => { }));
        Until(() => _disk.Notes.Any(n => n.Contains("answers again", StringComparison.Ordinal)));
        Assert.Equal([4L, 8], StepsThere());
        var away = Assert.Single(Away);
        Assert.Contains("Training goes on, checkpoints are durable in " + _disk.Folder, away.Text, StringComparison.Ordinal);
        Assert.Contains("checkpointStore.endpoint", away.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Copies_are_kept_by_the_rules_of_the_disk_and_what_a_retry_left_goes_after_two_saves()
    {
        var store = Store();
        Save(store, attempt: 1, steps: [4, 8, 12, 16]);
        Assert.Equal([12L, 16], StepsThere());

        // A person goes back to step 12: what is beyond is of no round any more.
        _disk.Open(2, Store(), roundBegan: 1).FindUsable(Ref(12));
        Save(Store(), attempt: 2, steps: [14], roundBegan: 1, from: 12);
        Assert.Equal([12L, 14, 16], StepsThere());
        // Once more, and the one set aside is no good one to count.
        Save(Store(), attempt: 2, steps: [15, 17], roundBegan: 1, from: 12);
        Assert.Equal([15L, 17], StepsThere());
    }

    [Fact]
    public void What_another_run_of_the_name_or_no_whole_checkpoint_is_stays_and_counts_for_nothing()
    {
        _disk.Make(40, registration: "of-another-run");
        var store = Store();
        Save(store, attempt: 1, steps: [4]);
        string other = $"deep/runs/{Single("step-00000004")}";
        _server.Objects[other.Replace("step-00000004", "step-00000090", StringComparison.Ordinal) + "/model.safetensors"] = [1];
        Directory.Delete(_disk.Folder, recursive: true);
        Assert.Equal(4, _disk.Open(2, Store()).FindUsable(null)!.Step);
        Assert.Equal([4L], StepsThere());
    }

    [Fact]
    public void Each_rank_sends_its_share_and_the_manifest_comes_when_all_of_it_is_there()
    {
        string[] names = ["model.rank-0-of-2.safetensors", "model.rank-1-of-2.safetensors", "part.rank-1-of-2.json", "config.json"];
        Assert.Equal([0, 1, 1, 1], names.Select((n, i) => CheckpointPart.SenderOf(n, i, 2)));
        Assert.Equal([0, 0, 0, 0], names.Select((n, i) => CheckpointPart.SenderOf(n, i, 1)));
    }

    [Fact]
    public void Nothing_older_is_taken_where_the_store_that_may_have_the_newest_is_away_and_what_is_known_is_taken_without_it()
    {
        var older = _disk.Make(4);
        var newer = _disk.Make(8);
        Directory.Delete(_disk.PathOf("step-00000008"), recursive: true);
        _server.Away = true;
        var told = Assert.Throws<IOException>(() => _disk.Open(2, Store()).FindUsable(newer));
        Assert.StartsWith($"the checkpoint of step 8 is not in {_disk.Folder}, and the store cannot be asked for it: ", told.Message,
            StringComparison.Ordinal);
        Assert.Contains("Nothing older is taken instead", told.Message, StringComparison.Ordinal);
        Assert.Equal(4, _disk.Open(2, Store()).FindUsable(older)!.Step);
    }

    [Fact]
    public void A_copy_that_was_damaged_is_refused_in_the_store_and_the_one_before_it_is_taken()
    {
        Save(Store(), attempt: 1, steps: [4, 8]);
        Directory.Delete(_disk.Folder, recursive: true);
        string newest = $"deep/runs/{Single("step-00000008")}";
        _server.Objects[$"{newest}/{CheckpointDisk.Weights}"][^1] ^= 1;
        Assert.Equal(4, _disk.Open(2, Store()).FindUsable(null)!.Step);
        var refused = Assert.Single(_disk.Link.Reports, r => r.Refused is not null).Refused;
        Assert.Equal("run/pretrain/step-00000008", refused.Path);
        Assert.StartsWith("its copy s3://training/deep/runs/run/pretrain/step-00000008-", refused.Reason, StringComparison.Ordinal);
        Assert.Contains($"{newest}/refused.txt", _server.Objects.Keys);
        // Nobody asks for it again, and nobody takes it away.
        Save(Store(), attempt: 3, steps: [12, 16, 20]);
        Assert.Equal([8L, 16, 20], StepsThere());
    }

    [Fact]
    public void One_that_is_damaged_on_the_disk_is_brought_anew()
    {
        Save(Store(), attempt: 1, steps: [4, 8]);
        _disk.Damage(8);
        var found = _disk.Open(2, Store()).FindUsable(Ref(8))!;
        Assert.Equal((8L, _disk.PathOf("step-00000008")), (found.Step, found.Path));
        Assert.Contains("refused-step-00000008.attempt-2", _disk.Names);
        Assert.Equal(found.Digest, Manifest.Verify(found.Path, found.Digest) is not null ? found.Digest : "");
        Assert.DoesNotContain(_disk.Names, n => n.StartsWith(".bring", StringComparison.Ordinal));
    }

    [Fact]
    public void Keys_are_in_nothing_that_is_told()
    {
        var store = Store("wrong-secret-4711");
        var folder = _disk.Open(1, store);
        using var copies = Copies(store, folder);
        _disk.Save(folder, 4, 1, keep: 2);
        copies.Written(4);
        Until(() => Away.Count == 1);
        Assert.Contains("does not let the workers in (SignatureDoesNotMatch)", Away[0].Text, StringComparison.Ordinal);
        Assert.All(_disk.Link.Reports, r =>
        {
            Assert.DoesNotContain("4711", r.ToString(), StringComparison.Ordinal);
            Assert.DoesNotContain(TestStore.Id, r.ToString(), StringComparison.Ordinal);
        });
    }

    private List<WorkerNote> Away => [.. _disk.Link.Reports.Where(r => r.Note?.StoreAway.Length > 0).Select(r => r.Note)];

    private StoredCheckpoints Store(string secret = TestStore.Secret) => new(new ObjectStore(
        _server.Settings, new BasicAWSCredentials(TestStore.Id, secret), TimeProvider.System, TimeSpan.FromMilliseconds(2)));

    private StoreCopies Copies(StoredCheckpoints store, CheckpointFolder folder, int roundBegan = 0, int attempt = 1, long from = 0)
    {
        var copies = new StoreCopies(store, folder,
            new StoreRetention(store, folder, CheckpointDisk.Bounds(attempt, roundBegan), 2, _disk.Link, TimeProvider.System, () => from),
            _disk.Link, TimeProvider.System, Soon);
        copies.Begin();
        return copies;
    }

    private void Save(StoredCheckpoints store, int attempt, long[] steps, int roundBegan = 0, long from = 0)
    {
        var folder = _disk.Open(attempt, store, roundBegan);
        using var copies = Copies(store, folder, roundBegan, attempt, from);
        foreach (long step in steps)
        {
            _disk.Save(folder, step, attempt, keep: 2);
            copies.Written(step);
            Assert.True(copies.Finish(TimeSpan.FromMinutes(1), whileAway: true, () => { }));
        }
    }

    private CheckpointRef Ref(long step) => new()
    {
        Step = step, Run = "run", Stage = "pretrain", Path = $"run/pretrain/step-{step:D8}",
        Digest = Manifest.Read(_disk.PathOf($"step-{step:D8}")).Digest,
    };

    private string Single(string name) => Assert.Single(_server.Whole, w => w.Contains(name, StringComparison.Ordinal));

    private List<long> StepsThere() =>
        [.. _server.Whole.Select(w => long.Parse(w.Split("step-")[1].Split('-')[0], System.Globalization.CultureInfo.InvariantCulture))];

    private static void Until(Func<bool> holds) =>
        Assert.True(SpinWait.SpinUntil(holds, TimeSpan.FromSeconds(30)), "it did not come about within 30 s");
}
