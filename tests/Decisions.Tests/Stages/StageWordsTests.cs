using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>What a stage's sentences say of time: only what was spent on what they tell of.</summary>
public sealed class StageWordsTests
{
    private static readonly TimeSpan Wait = TimeSpan.FromHours(1);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly StageWorld world = new();

    [Theory]
    [InlineData(0, "training did not wait for it")]
    [InlineData(0.4, "training did not wait for it")]
    [InlineData(0.6, "training stood for 1 ms")]
    [InlineData(2300, "training stood for 2.3 s")]
    public void A_copy_that_took_less_than_is_told_is_no_stall_of_0_s(double stallMilliseconds, string words)
    {
        Until(stage => stage.Phase is Phase.Running && !stage.Checkpoints.IsEmpty);
        var newest = world.Stage.Checkpoints[^1].Made;
        var made = newest with
        {
            Step = newest.Step + 1,
            Path = "another",
            Stall = TimeSpan.FromMilliseconds(stallMilliseconds),
            Lag = TimeSpan.FromSeconds(1.5),
        };
        var seen = world.Vitals.Observe(world.Stage.Watched, null, world.Seen);
        var next = StagePlanner.Decide(world.Stage, seen with { News = News.None with { Checkpoints = [made] } }, world.Now).Next;
        var told = Assert.Single(next.Outbox, e => e.Kind == "checkpoint" && e.Step == made.Step);
        Assert.Contains($"{words}, durable after 1.5 s", told.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(" 0 s", told.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stage_that_was_never_retried_says_after_what_time_it_ended()
    {
        var completed = Completed();
        Assert.Contains(" after ", completed.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("retry", completed.Text, StringComparison.Ordinal);
        Assert.InRange(world.Stage.EndedAt!.Value - StageWorld.Epoch - completed.Took!.Value, TimeSpan.Zero, Second);
    }

    [Fact]
    public void Time_that_lay_failed_before_a_person_retried_is_not_told_as_taken() => NotCounted(
        () =>
        {
            world.DamageAll();
            world.Apply(Happening.KillAgent);
            Until(stage => stage.Phase is Phase.Failed);
        }, from: 0);

    /// <summary>From a named step, while the stage waited: the round begins without an end before it.</summary>
    [Fact]
    public void Time_that_lay_paused_before_a_person_retried_is_not_told_as_taken() => NotCounted(
        () =>
        {
            world.Apply(Happening.Pause);
            Until(stage => stage.Phase is Phase.Paused);
        }, from: null);

    [Fact]
    public void Pauses_failures_and_ends_by_a_person_took_nothing()
    {
        Until(stage => !stage.Checkpoints.IsEmpty);
        world.Apply(Happening.Pause);
        Until(stage => stage.Phase is Phase.Paused);
        world.Apply(Happening.Resume);
        Until(stage => stage.Phase is Phase.Running);
        world.DamageAll();
        world.Apply(Happening.KillAgent);
        Until(stage => stage.Phase is Phase.Failed);
        string[] kinds = ["paused", "resumed", "failed", "cancelled", "retried"];
        var told = world.History.SelectMany(s => s.Outbox).Where(e => kinds.Contains(e.Kind)).ToList();
        Assert.Subset(told.Select(e => e.Kind).ToHashSet(), new HashSet<string> { "paused", "resumed", "failed" });
        Assert.All(told, e => Assert.Null(e.Took));
    }

    private void NotCounted(Action comesToRest, long? from)
    {
        Until(stage => !stage.Checkpoints.IsEmpty);
        comesToRest();
        for (var until = world.Now + Wait; world.Now < until;)
        {
            world.Apply(Happening.MinutePasses);
        }

        var retriedAt = world.Now;
        world.RetryFrom(from);
        var completed = Completed();
        Assert.Contains("after the retry", completed.Text, StringComparison.Ordinal);
        Assert.True(completed.Took < Wait, $"{completed.Took}: {completed.Text}");
        Assert.InRange(world.Stage.EndedAt!.Value - retriedAt - completed.Took!.Value, TimeSpan.Zero, Second);
    }

    private RunEvent Completed()
    {
        Until(stage => stage.Phase is Phase.Completed);
        return world.History.SelectMany(s => s.Outbox).Last(e => e.Kind == "completed");
    }

    private void Until(Func<Stage, bool> condition)
    {
        for (int i = 0; i < 2000 && !condition(world.Stage); i++)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
        }

        Assert.True(condition(world.Stage), $"{world.Stage.Phase}: {world.Stage.Reason}");
    }
}
