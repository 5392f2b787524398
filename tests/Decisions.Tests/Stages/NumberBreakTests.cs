using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recovery;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

public sealed class NumberBreakTests
{
    private static readonly Stage Stage = New();
    private static readonly Instant Seen = Instant.OfOneClock(StageWorld.Epoch);

    [Theory]
    [InlineData(57, 500, 556, true)]
    [InlineData(57, 500, 557, false)]
    [InlineData(57, 500, 40, true)]
    [InlineData(57, 1, 57, true)]
    [InlineData(57, 1, 58, false)]
    public void A_break_is_forgotten_after_as_many_steps_as_the_policy_says(long first, int forgottenAfter, long second, bool fails)
    {
        var stage =
            Broken(Stage with
            {
                Wish = Stage.Wish with { Work = Stage.Wish.Work with { Recovery = new() { BreakForgottenAfter = forgottenAfter } } },
            }, first);
        Assert.Equal(fails, BreaksAgain.Judge(stage.Watched, At(second), fromRandom: true) is not null);
    }

    [Fact]
    public void The_first_break_of_a_round_fails_nothing_whatever_earlier_rounds_met()
    {
        Assert.Null(BreaksAgain.Judge(Stage.Watched, At(2), fromRandom: true));
        Assert.Null(BreaksAgain.Judge((Broken(Stage, 57) with { RoundBegan = 1, Attempt = 2 }).Watched, At(58), fromRandom: true));
    }

    [Fact]
    public void A_break_before_any_step_has_no_batch_to_leave_out_and_fails_at_once() =>
        Assert.Contains("before any step", BreaksAgain.Judge(Stage.Watched, At(0) with { Batch = 0 }, fromRandom: true)!.Reason,
            StringComparison.Ordinal);

    [Fact]
    public void A_retry_that_goes_on_keeps_what_is_left_out_and_one_from_a_named_step_trains_anew_what_comes_after_it()
    {
        var stage = Broken(Broken(Stage, 10), 20);
        Assert.Equal([10L, 21], stage.LeftOut.Select(b => b.Batch));
        Stage Retried(long? from) => StagePlanner.Decide(
            stage with
            {
                Phase = new Phase.Failed("a second break", StageWorld.Epoch),
                Wish = stage.Wish with { Round = 2, FromStep = from },
            },
            Vitals.Fresh(Seen).Observe(stage.Watched, null, Seen), StageWorld.Epoch).Next;
        Assert.Equal([10L, 21], Retried(null).LeftOut.Select(b => b.Batch));
        Assert.Equal([10L], Retried(15).LeftOut.Select(b => b.Batch));
        Assert.Empty(Retried(9).LeftOut);
        Assert.Empty(Retried(0).LeftOut);
    }

    [Fact]
    public void The_batch_of_a_step_is_the_one_that_a_walk_over_the_data_takes() =>
        Gen.Select(Gen.Long[1, 60].HashSet[0, 15], Gen.Long[0, 80]).Sample((leftOut, step) =>
        {
            long batch = 0;
            for (long done = 0; done < step; done++)
            {
                do
                {
                    batch++;
                }
                while (leftOut.Contains(batch));
            }

            Assert.Equal(batch, BatchOrder.BatchOf(step, leftOut));
        }, iter: 2000);

    [Fact]
    public void Only_the_first_sample_that_is_not_finite_is_remembered_and_only_for_its_attempt()
    {
        var vitals = Vitals.Fresh(Seen);
        AgentBeat Beat(params StepSample[] samples) => new(new NodeId("node-0"), "a", Stage.Id, 1, 1, [], [.. samples], [], [], [],
            ImmutableDictionary<string, double>.Empty, [], []);
        StepSample Sample(long step, double loss, double norm = 1) =>
            new(step, StageWorld.Epoch, "", loss, norm, 1, step, 1, 1, ImmutableDictionary<string, double>.Empty);
        vitals = vitals.Take(Beat(Sample(7, 1), Sample(8, 2, double.PositiveInfinity), Sample(9, double.NaN)), Stage.Watched, false, Seen);
        vitals = vitals.Take(Beat(Sample(10, double.NaN)), Stage.Watched, false, Seen);
        Assert.Equal(8, vitals.Observe(Stage.Watched, null, Seen).Broken?.Step);
        Assert.Null(vitals.Observe((Stage with { Attempt = 2 }).Watched, null, Seen).Broken);
    }

    private static NotFinite At(long step) => new("loss", "NaN", step, step, 0, "", 0);

    private static Stage Broken(Stage stage, long step) =>
        StageRecovery.LeaveOut(stage, At(step) with { Batch = BatchOrder.BatchOf(step, stage.LeftOut.Select(b => b.Batch)) });

    private static Stage New()
    {
        var stage = new StageWorld().Stage;
        return stage with { Attempt = 1 };
    }
}
