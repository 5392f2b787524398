using System.Reflection;
using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Recovery;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Recovery;

public sealed class LadderTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 8, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Each_rung_that_is_written_stands_in_the_ladder_once()
    {
        var written = typeof(Ladder).Assembly.GetTypes()
            .Select(t => t.GetMethod("Try", BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic))
            .OfType<MethodInfo>().Where(m => m.GetParameters() is [var only] && only.ParameterType == typeof(FailedAttempt))
            .Select(m => m.DeclaringType!.Name);
        Assert.Equal(written.Order(StringComparer.Ordinal),
            Ladder.Rungs.Select(r => r.Try.Method.DeclaringType!.Name).Order(StringComparer.Ordinal));
        Assert.Equal(Ladder.Rungs.Length, Ladder.Rungs.Select(r => r.Name).Distinct().Count());
    }

    [Fact]
    public void Every_cause_of_a_failure_has_a_remedy()
    {
        foreach (var cause in Enum.GetValues<FailureCause>())
        {
            Assert.NotNull(Ladder.Climb(Failed(cause)).Remedy);
        }
    }

    [Fact]
    public void Bad_input_and_a_stage_without_checkpoints_are_given_up_the_first_time()
    {
        Assert.IsType<Remedy.GiveUp>(Ladder.Climb(Failed(FailureCause.BadInput)).Remedy);
        Assert.IsType<Remedy.GiveUp>(Ladder.Climb(Failed(FailureCause.NoCheckpoint)).Remedy);
    }

    [Fact]
    public void What_ran_out_by_and_by_is_launched_again_only_after_steps_and_a_doubt_always()
    {
        Assert.IsType<Remedy.GiveUp>(Remedied("host-out-of-memory", sure: true, madeStep: false));
        Assert.IsType<Remedy.InPlace>(Remedied("host-out-of-memory", sure: true, madeStep: true));
        Assert.IsType<Remedy.GiveUp>(Remedied("cuda-out-of-memory", sure: true, madeStep: true));
        Assert.IsType<Remedy.InPlace>(Remedied("cuda-out-of-memory", sure: false, madeStep: true));
        Assert.IsType<Remedy.InPlace>(Remedied("checkpoint-damaged", sure: true, madeStep: false));
        Assert.IsType<Remedy.InPlace>(Remedied("a class of a newer version", sure: true, madeStep: false));
        Assert.All(ExitClasses.All.Where(c => c.Retry == Retry.Again && !c.OfTheMachine),
            c => Assert.IsType<Remedy.InPlace>(Remedied(c.Id, sure: true, madeStep: false)));
        Assert.All(ExitClasses.All.Where(c => c.OfTheMachine),
            c => Assert.IsType<Remedy.AnotherGang>(Remedied(c.Id, sure: true, madeStep: true)));
        Assert.IsType<Remedy.InPlace>(Remedied("gpu-broken", sure: false, madeStep: true));

        static Remedy Remedied(string @class, bool sure, bool madeStep)
        {
            var failed = Failed(FailureCause.RankExited, "exit 1 at step 3") with { MadeStep = madeStep };
            return Ladder.Climb(failed with { Failure = failed.Failure with { Exit = new ExitVerdict(@class, "", 0, "", sure) } }).Remedy;
        }
    }

    [Fact]
    public void What_a_person_asked_for_waits_for_nothing_and_is_never_given_up()
    {
        var fruitless = Failed(FailureCause.RolledBack) with
        {
            Restarts = [.. Enumerable.Repeat(Before(FailureCause.RolledBack, ""), 100)],
        };
        Assert.Equal(new Remedy.InPlace(TimeSpan.Zero), Ladder.Climb(fruitless).Remedy);
    }

    [Fact]
    public void A_lost_node_is_left_and_a_spent_budget_gives_up_before_another_gang_is_asked_for()
    {
        var lost = Failed(FailureCause.NodeLost) with { MadeStep = true };
        lost = lost with { Failure = lost.Failure with { NodeIsSuspect = true } };
        Assert.Equal(new Remedy.AnotherGang(new NodeId("node-0"), TimeSpan.Zero), Ladder.Climb(lost).Remedy);
        var spent = lost with { Restarts = [.. Enumerable.Repeat(Before(FailureCause.NodeLost, ""), lost.Stage.Policy.MaxRestarts)] };
        Assert.IsType<Remedy.GiveUp>(Ladder.Climb(spent).Remedy);
        // Launches by a clock that ran ahead and has been set right since are none of now.
        var ahead = spent with { Restarts = [.. spent.Restarts.Select(r => r with { At = Now + lost.Stage.Policy.Window })] };
        Assert.IsType<Remedy.AnotherGang>(Ladder.Climb(ahead).Remedy);
    }

    [Fact]
    public void Two_exits_in_a_row_on_one_node_before_a_step_suspect_the_node()
    {
        var again = Failed(FailureCause.RankExited, "exit 1 at step 3") with
        {
            Restarts = [Before(FailureCause.RankExited, "exit 1 at step 2")],
        };
        var (failure, remedy) = Ladder.Climb(again);
        Assert.True(failure.NodeIsSuspect);
        Assert.IsType<Remedy.AnotherGang>(remedy);
        Assert.IsType<Remedy.InPlace>(Ladder.Climb(again with { MadeStep = true }).Remedy);
    }

    [Theory]
    [InlineData("a a", "a", true)]
    [InlineData("a a b", "b", false)]
    [InlineData("a a b b", "c", true)]
    [InlineData("a b", "c", true)]
    [InlineData("a", "a", false)]
    public void Two_machines_that_break_in_one_hour_are_no_fault_of_the_program_and_a_third_is(string before, string now, bool givenUp)
    {
        var failed = Failed(FailureCause.RankExited, "exit 1 at step 3");
        failed = failed with
        {
            Failure = failed.Failure with { Node = new NodeId(now) },
            Restarts = [.. before.Split(' ')
                .Select(n => Before(FailureCause.RankExited, "exit 1 at step 3") with { Node = new NodeId(n) })],
        };
        Assert.Equal(givenUp, Ladder.Climb(failed).Remedy is Remedy.GiveUp);
    }

    private static FailedAttempt Failed(FailureCause cause, string signature = "") => new(
        new WatchedStage(new StageId("a", "pretrain"), new PipelineSpec()) { Attempt = 2 },
        new Failure(cause, "it ended", signature, new NodeId("node-0"), false, 2, 3, Now, Now), MadeStep: false, [], FromRandom: true, Now);

    private static Restart Before(FailureCause cause, string signature) =>
        new(Now.AddMinutes(-1), cause, signature, 1, MadeStep: false, new NodeId("node-0"));
}
