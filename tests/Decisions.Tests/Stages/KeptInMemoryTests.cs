using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tests.Health;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>A gang that goes on from what its ranks had kept, and what is told of it.</summary>
public sealed class KeptInMemoryTests
{
    private readonly RunningStage world = new();
    private readonly Stage again;
    private readonly long made;

    public KeptInMemoryTests()
    {
        made = world.Rank(world.Stage).Step;
        world.EndRank(137, "");
        again = world.Decide(world.Now).Next;
        Assert.IsType<Phase.Restarting>(again.Phase);
    }

    [Theory]
    [InlineData(0, "no step is done again")]
    [InlineData(1, "1 step is done again")]
    public void The_first_new_step_tells_from_where_it_went_on_and_how_many_steps_were_made_again(int lost, string words)
    {
        long kept = made - lost;
        var next = Decide(again, kept, kept + 1, new ResumedFrom(again.Attempt, null) { KeptStep = kept });
        var told = Assert.Single(next.Outbox, e => e.Kind == "recovered");
        Assert.Equal((kept, kept + 1), (next.LaunchedFrom, told.Step));
        Assert.Contains($"first new step {kept + 1} after", told.Text, StringComparison.Ordinal);
        Assert.EndsWith($"; {words}, from step {kept}, which its ranks had kept in memory", told.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(next.Outbox, e => e.Kind == "goes-on-from");
    }

    [Fact]
    public void Ranks_that_went_on_from_memory_made_no_step_by_being_beyond_the_newest_checkpoint()
    {
        Assert.True(made > again.LaunchedFrom);
        var next = Decide(again, made, made);
        Assert.DoesNotContain(next.Outbox, e => e.Kind == "recovered");
        // Nor where another node's word of its first step is here before the first rank's, which tells where all go on from.
        Assert.DoesNotContain(Decide(again, made, made + 1).Outbox, e => e.Kind == "recovered");
    }

    [Fact]
    public void A_gang_that_went_back_to_a_checkpoint_tells_how_many_steps_it_makes_again()
    {
        var from = again.Checkpoints[^1].Made;
        var next = Decide(again, from.Step, from.Step + 1, new ResumedFrom(again.Attempt, from));
        Assert.EndsWith(made - from.Step == 1 ? "; 1 step is done again" : $"; {made - from.Step} steps are done again",
            Assert.Single(next.Outbox, e => e.Kind == "recovered").Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Whoever_comes_later_is_told_of_the_newest_checkpoint_and_the_next_attempt_begins_there_again()
    {
        var next = Decide(again, made, made + 1, new ResumedFrom(again.Attempt, null) { KeptStep = made });
        var newest = next.Checkpoints[^1].Made;
        Assert.NotEqual(newest.Step, next.LaunchedFrom);
        Assert.Equal(newest.Digest, WorkerOrders.AssignmentOf(next, world.Gang, world.Node).ResumeFrom!.Digest);
        // Another agent of it dies: nothing is known any more of what ranks have.
        var ended = Observe(next, world.Rank(next, made + 1) with { State = RankState.Exited, ExitCode = 137 });
        var after = StagePlanner.Decide(next, ended, world.Now.At).Next;
        Assert.Equal((newest.Step, false, (int?)null), (after.LaunchedFrom, after.FromMemory, after.StepsAgain));
    }

    private Stage Decide(Stage stage, long beganAt, long step, params ResumedFrom[] resumed)
    {
        var seen = Observe(stage, world.Rank(stage, step) with { BeganAt = beganAt }, resumed);
        return StagePlanner.Decide(stage with { Outbox = [] }, seen, world.Now.At).Next;
    }

    private Observation Observe(Stage stage, RankStatus rank, params ResumedFrom[] resumed)
    {
        var beat = world.Beat(stage, rank.Step) with { Ranks = [rank], Resumed = [.. resumed] };
        return world.Vitals.Take(beat, stage.Watched, false, world.Now).Observe(stage.Watched, world.Cluster, world.Now);
    }
}
