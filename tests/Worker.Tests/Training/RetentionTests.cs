using System.Collections.Immutable;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Worker.Training;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training;

/// <summary>The worker deletes checkpoints, the control plane lists them: both have to mean the same ones.</summary>
[Collection(RandomNumbers.OneStream)]
public sealed class RetentionTests : IDisposable
{
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void The_control_plane_lists_what_is_on_disk_from_the_first_save_to_the_final_one(int keep)
    {
        var plan = _mini.Plan("pretrain", every: 3);
        plan.Checkpoints.Keep = keep;
        using var link = MiniPlans.Train(_mini.Launch(plan, "pretrain"));
        Assert.True(link.Checkpoints[^1].Final);
        Assert.Equal(OnDisk(), Listed([], link.Checkpoints, keep));
    }

    [Fact]
    public void After_a_retry_from_an_earlier_step_what_lay_beyond_it_is_neither_listed_nor_on_disk()
    {
        var plan = _mini.Plan("pretrain", every: 4);
        using var first = MiniPlans.Train(_mini.Launch(plan, "pretrain"), StopAt(14));
        Assert.Equal([12L, 14], OnDisk());
        var listed = CheckpointChoice.SetAsideBeyond(Take([], first.Checkpoints, 2), 12);
        using var second = MiniPlans.Train(
            _mini.Launch(plan, "pretrain", attempt: 2, from: first.Checkpoints.Single(c => c.Step == 12)), StopAt(18));
        Assert.Equal(OnDisk(), Listed(listed, second.Checkpoints, 2));
        Assert.Contains(second.Reports, r => r.Note?.Text.StartsWith("Deleted the checkpoints of steps 14", StringComparison.Ordinal) ?? false);
    }

    [Fact]
    public void A_missing_checkpoint_is_replaced_by_the_nearest_that_exists_and_never_by_step_0()
    {
        var plan = _mini.Plan("pretrain", every: 4);
        using var first = MiniPlans.Train(_mini.Launch(plan, "pretrain"), StopAt(14));
        using var second = MiniPlans.Train(_mini.Launch(plan, "pretrain", attempt: 2, from: first.Checkpoints[0]), StopAt(13));
        Assert.Equal(4, first.Checkpoints[0].Step);
        Assert.Equal(13, second.Samples[0].Step);
        Assert.Contains(second.Reports, r => r.Note?.Text == "Goes on from step 12 instead of step 4, whose checkpoint was refused.");
        var listed = CheckpointChoice.SetAsideBeyond(Take([], first.Checkpoints, keep: 9), 4);
        Assert.Equal(8, CheckpointChoice.Newest(CheckpointChoice.Quarantine(listed, first.Checkpoints[0].Path, "it is not there"))?.Made.Step);
    }

    private List<long> OnDisk() =>
        [.. new CheckpointFolder(_mini.Root, new AttemptRef { Run = "test", Stage = "pretrain", Attempt = 9 }).Steps().Order()];

    private static List<long> Listed(ImmutableArray<StageCheckpoint> before, IEnumerable<CheckpointReport> told, int keep) =>
        [.. Take(before, told, keep).Where(c => c.Usable).Select(c => c.Made.Step)];

    private static ImmutableArray<StageCheckpoint> Take(ImmutableArray<StageCheckpoint> before, IEnumerable<CheckpointReport> told, int keep) =>
        told.Aggregate(before, (listed, c) => CheckpointChoice.Retain(CheckpointChoice.Add(listed, MadeOf(c), ""), keep));

    private static CheckpointMade MadeOf(CheckpointReport c) => new(
        c.Step, c.Path, c.Bytes, c.Digest, c.Tokens, c.Loss, c.DataCursor, TimeSpan.Zero, TimeSpan.Zero, DateTimeOffset.UnixEpoch, 1, c.Final);

    private static Action<Agent.RecordingRankLink, RankReport> StopAt(long step) => (link, report) =>
    {
        if (report.Sample?.Step == step)
        {
            link.OrderStop("a test ends the attempt", save: true);
        }
    };
}
