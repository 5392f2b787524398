using System.Collections.Immutable;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Tests.Training;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Checkpoints;

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
    public void After_a_retry_from_an_earlier_step_what_lay_beyond_it_is_set_aside_and_gone_after_two_saves()
    {
        var plan = _mini.Plan("pretrain", every: 4);
        using var first = MiniPlans.Train(_mini.Launch(plan, "pretrain"), StopAt(14));
        Assert.Equal([12L, 14], OnDisk());
        var listed = CheckpointChoice.SetAsideBeyond(Take([], first.Checkpoints, 2), 12);
        using var second = MiniPlans.Train(
            _mini.Launch(plan, "pretrain", attempt: 2, from: first.Checkpoints.Single(c => c.Step == 12), roundBegan: 1), StopAt(15));
        Assert.Equal(13, second.Samples[0].Step);
        Assert.Equal(["step-00000012", "step-00000015", "superseded-step-00000014.attempt-1"], Names());
        using var third =
            MiniPlans.Train(_mini.Launch(plan, "pretrain", attempt: 3, from: second.Checkpoints[^1], roundBegan: 1), StopAt(18));
        Assert.Equal(["step-00000016", "step-00000018"], Names());
        Assert.Equal(OnDisk(), Listed(listed, second.Checkpoints.Concat(third.Checkpoints), 2));
    }

    [Fact]
    public void A_missing_checkpoint_is_replaced_by_the_newest_that_exists_and_never_by_step_0()
    {
        var plan = _mini.Plan("pretrain", every: 4);
        using var first = MiniPlans.Train(_mini.Launch(plan, "pretrain"), StopAt(14));
        using var second = MiniPlans.Train(_mini.Launch(plan, "pretrain", attempt: 2, from: first.Checkpoints[0]), StopAt(15));
        Assert.Equal(4, first.Checkpoints[0].Step);
        Assert.Equal(15, second.Samples[0].Step);
        Assert.Equal(14, Assert.Single(second.Reports, r => r.Resumed is not null).Resumed.Checkpoint.Step);
        Assert.Equal(first.Checkpoints[0].Path, Assert.Single(second.Reports, r => r.Refused is not null).Refused.Path);
    }

    /// <summary>Without the journal of steps, which an agent would take away at the stage's end: these ranks have none.</summary>
    private List<string> Names() =>
    [
        .. Directory.EnumerateDirectories(Path.Combine(_mini.Root, "test", "pretrain")).Select(d => Path.GetFileName(d))
            .Where(n => n != "untold").Order(),
    ];

    private List<long> OnDisk() =>
        [.. Names().Select(CheckpointFolder.StepOf).OfType<long>()];

    private static List<long> Listed(ImmutableArray<StageCheckpoint> before, IEnumerable<CheckpointReport> told, int keep) =>
        [.. Take(before, told, keep).Where(c => c.Usable).Select(c => c.Made.Step)];

    private static ImmutableArray<StageCheckpoint> Take(ImmutableArray<StageCheckpoint> before, IEnumerable<CheckpointReport> told,
        int keep) =>
        told.Aggregate(before, (listed, c) => CheckpointChoice.Retain(CheckpointChoice.Add(listed, MadeOf(c), ""), keep));

    private static CheckpointMade MadeOf(CheckpointReport c) => new(
        c.Step, c.Path, c.Bytes, c.Digest, c.Tokens, c.Loss, c.DataCursor, TimeSpan.Zero, TimeSpan.Zero, DateTimeOffset.UnixEpoch,
        c.Attempt, c.Final);

    private static Action<Agent.RecordingRankLink, RankReport> StopAt(long step) => (link, report) =>
    {
        if (report.Sample?.Step == step)
        {
            link.OrderStop("a test ends the attempt", save: true);
        }
    };
}
