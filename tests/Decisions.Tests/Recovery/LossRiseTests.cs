using System.Collections.Immutable;
using System.Text.Json;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Recovery;
using DeepSeekOps.Decisions.Spikes;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tests.Health;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Recovery;

/// <summary>What a recipe lets be done about a loss that rose and stayed up.</summary>
public sealed class LossRiseTests
{
    private static readonly RunningStage Running = new();
    private static readonly long Saved = Running.Stage.Checkpoints.Max(c => c.Made.Step);

    /// <summary>Flagged six steps after the newest checkpoint: that one alone is of before it.</summary>
    private static readonly SpikeVerdict Rise =
        new(Saved + 26, Saved + 6, SpikeKind.Divergence, "the loss rose") { Level = 2, Spread = 0.1, Now = 5 };

    [Fact]
    public void In_advice_mode_nothing_is_done_and_the_command_for_it_is_told()
    {
        var tell = Assert.IsType<LossAnswer.Tell>(Decide(new LossSpikes()));
        Assert.Contains($"--from {Saved}", tell.Words, StringComparison.Ordinal);
        var next = Tick(new LossSpikes(), Running.Stage);
        Assert.IsType<Phase.Running>(next.Phase);
        Assert.Contains("lossSpikes.mode is advise", Assert.Single(next.Outbox).Text, StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_batches_are_trained_once_more_before_any_of_them_is_blamed()
    {
        var next = Tick(Acts(LossSpikePolicy.RollBack), Running.Stage);
        var act = Assert.Single(next.LossActs);
        Assert.Equal((LossMove.Replay, Saved, 0), (act.Move, act.ToStep, act.Batches));
        Assert.Equal((Running.Stage.Attempt + 1, Saved), (next.Attempt, next.LaunchedFrom));
        Assert.IsType<Phase.Restarting>(next.Phase);
        Assert.Equal(FailureCause.LossRose, next.Incident!.Cause);
    }

    [Fact]
    public void What_rises_again_is_left_out_from_where_it_may_have_begun_to_where_it_was_judged_or_beyond()
    {
        var again = Again(Acts(LossSpikePolicy.RollBack));
        var act = Assert.IsType<LossAnswer.Act>(again).What;
        Assert.Equal((LossMove.RollBack, Rise.FlaggedAt - 5, Rise.FlaggedAt + 44), (act.Move, act.FirstBatch, act.LastBatch));
        // No batch of it is one that the checkpoint has trained.
        Assert.True(act.FirstBatch > act.ToStep);
        var short_ = Assert.IsType<LossAnswer.Act>(Again(Acts(LossSpikePolicy.RollBack) with { SkipBatches = 1 })).What;
        Assert.Equal(Rise.Step, short_.LastBatch);
    }

    [Fact]
    public void A_lower_rate_ends_by_itself_and_is_looked_at_after_its_end()
    {
        var act = Assert.IsType<LossAnswer.Act>(Again(Acts(LossSpikePolicy.LowerRate))).What;
        Assert.Equal((Rise.Begins, Rise.Begins + 199, 0.5), (act.RateFrom, act.RateUntil, act.RateFactor));
        Assert.Equal((true, true, false), (act.Lowers(act.RateFrom), act.Lowers(act.RateUntil), act.Lowers(act.RateUntil + 1)));
        Assert.Equal(act.RateUntil + SpikeRule.JudgedAfter, act.VerifiedAt);
    }

    [Fact]
    public void Skipping_goes_on_from_the_newest_checkpoint_without_what_comes_next()
    {
        var act = Assert.IsType<LossAnswer.Act>(Decide(Acts(LossSpikePolicy.Skip))).What;
        Assert.Equal((LossMove.Skip, Saved, Saved + 1, Saved + 50), (act.Move, act.ToStep, act.FirstBatch, act.LastBatch));
    }

    [Theory]
    [InlineData(LossSpikePolicy.Pause)]
    [InlineData(LossSpikePolicy.RollBack)]
    public void A_policy_that_pauses_or_has_done_enough_holds_the_run_for_a_person(LossSpikePolicy policy)
    {
        var spent = Enumerable.Repeat(Done(LossMove.RollBack), 4).ToImmutableArray();
        var next = Tick(Acts(policy), Running.Stage with { LossActs = spent });
        Assert.Contains("held for a person", next.Hold, StringComparison.Ordinal);
        Assert.IsType<Phase.Running>(next.Phase);
        Assert.Equal(Running.Stage.Attempt, next.Attempt);
        // Further back than counts it may act again.
        var old = spent.Select(a => a with { JudgedAt = Rise.Step - 1000 }).ToImmutableArray();
        Assert.Equal(policy == LossSpikePolicy.Pause, Decide(Acts(policy), Running.Stage with { LossActs = old }) is LossAnswer.Hold);
    }

    [Fact]
    public void Without_a_checkpoint_of_before_it_the_run_is_held_and_not_begun_again() => Assert.IsType<LossAnswer.Hold>(
        LossRise.Decide(Watched(Acts(LossSpikePolicy.RollBack), Running.Stage with { Checkpoints = [] }), Rise, Running.Now.At));

    [Fact]
    public void What_a_person_has_taken_back_is_not_done_again_behind_their_back()
    {
        var stage = Running.Stage with { LossActs = [Done(LossMove.Replay)], RoundBegan = Running.Stage.Attempt };
        Assert.IsType<LossAnswer.Tell>(Decide(Acts(LossSpikePolicy.RollBack), stage));
        var elsewhere = Rise with { FlaggedAt = Rise.Step + 1, Step = Rise.Step + 21 };
        Assert.IsType<LossAnswer.Act>(LossRise.Decide(Watched(Acts(LossSpikePolicy.RollBack), stage), elsewhere, Running.Now.At));
    }

    [Fact]
    public void A_rise_that_met_a_pause_is_not_acted_on_after_it_and_one_that_met_a_preemption_is()
    {
        var risen = Running.Stage with { Rise = Rise, Wish = With(Acts(LossSpikePolicy.RollBack), Running.Stage).Wish };
        var paused = StagePlanner.Decide(risen with { Wish = risen.Wish with { Intent = Intent.Pause } }, Running.Observe(Running.Now),
            Running.Now.At).Next;
        Assert.IsType<Phase.Stopping>(paused.Phase);
        var preempted = StagePlanner.Decide(risen, Running.Observe(Running.Now) with
        {
            Preemption = new DeepSeekOps.Decisions.Placement.Preemption(risen.Id, Running.Gang.Gang, null, TimeSpan.Zero, "drained"),
        }, Running.Now.At).Next;
        Assert.Equal(Rise, preempted.Rise);
    }

    [Fact]
    public void Records_of_before_there_were_acts_are_read()
    {
        var json = System.Text.Json.Nodes.JsonNode.Parse(JsonSerializer.Serialize(Running.Stage))!.AsObject();
        foreach (string key in new[] { "LossActs", "LossMemories", "Hold", "Rise" })
        {
            Assert.True(json.Remove(key));
        }

        json["Wish"]!["Pipeline"]!.AsObject().Remove("LossSpikes");
        var read = json.Deserialize<Stage>()!;
        Assert.Equal((LossSpikeMode.Advise, 0, ""), (read.Wish.Pipeline.LossSpikes.Mode, read.LossActs.Length, read.Hold));
    }

    private static LossSpikes Acts(LossSpikePolicy policy) => new() { Mode = LossSpikeMode.Act, Policy = policy };

    private static LossAct Done(LossMove move) => new(
        move, Rise.FlaggedAt, Rise.Step, Saved, Running.Stage.Attempt, 2, 0.1, Running.Now.At, "")
    { Outcome = LossOutcome.CameAgain };

    private static LossAnswer Decide(LossSpikes policy, Stage? stage = null) =>
        LossRise.Decide(Watched(policy, stage ?? Running.Stage), Rise, Running.Now.At);

    private static LossAnswer Again(LossSpikes policy) => Decide(policy, Running.Stage with { LossActs = [Done(LossMove.Replay)] });

    private static WatchedStage Watched(LossSpikes policy, Stage stage) => With(policy, stage).Watched;

    private static Stage With(LossSpikes policy, Stage stage) =>
        stage with { Wish = stage.Wish with { Pipeline = stage.Wish.Pipeline with { LossSpikes = policy } } };

    private static Stage Tick(LossSpikes policy, Stage stage)
    {
        var found = new LossFinding(Running.Now.At, stage.Attempt, Rise.FlaggedAt, "loss-diverged", EventLevel.Warning, Rise.Reason)
        {
            Verdict = Rise,
        };
        return StagePlanner.Decide(With(policy, stage), Running.Vitals.Found([found]).Observe(stage.Watched, Running.Cluster, Running.Now),
            Running.Now.At).Next;
    }
}
