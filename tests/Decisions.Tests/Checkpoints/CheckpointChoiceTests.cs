using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Checkpoints;

public sealed class CheckpointChoiceTests
{
    private static readonly StageId Stage = new("mini", "pretrain");

    private static readonly ImmutableArray<StageCheckpoint> Three =
    [
        Of(20, CheckpointState.Deleted, "the newest 2 are kept"), Of(40, CheckpointState.Good, ""),
        Of(60, CheckpointState.Quarantined, "it is truncated"),
    ];

    [Fact]
    public void To_try_without_a_step_is_the_newest_that_may_be_used() =>
        Assert.Equal(40, CheckpointChoice.ToTry(Stage, Three, step: null).Chosen?.Made.Step);

    [Theory]
    [InlineData(20L, "was deleted: the newest 2 are kept.")]
    [InlineData(60L, "was refused: it is truncated.")]
    [InlineData(61L, "has no checkpoint of step 61")]
    public void To_try_what_cannot_be_used_is_refused_with_the_reason_that_was_written_down(long step, string words)
    {
        var (chosen, reason) = CheckpointChoice.ToTry(Stage, Three, step);
        Assert.Null(chosen);
        Assert.Contains(words, reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stage_without_a_checkpoint_says_when_it_will_have_one() =>
        Assert.Contains("as soon as it is durable", CheckpointChoice.ToTry(Stage, [], step: null).Reason, StringComparison.Ordinal);

    private static StageCheckpoint Of(long step, CheckpointState state, string reason) => new(
        new CheckpointMade(step, $"mini/pretrain/step-{step:D8}", 1, "", 1, 1, "", TimeSpan.Zero, TimeSpan.Zero, DateTimeOffset.UnixEpoch,
            1, false), state, reason, "");
}
