using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

/// <summary>Numbers that are not finite, from the agent's word to the order it gets and the run's end.</summary>
public sealed class NumbersBreakTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_batch_that_breaks_the_numbers_is_left_out_by_every_later_launch()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 30)), Ct);
        await world.Until("mini", v => v.Stages[0].State == "running");
        var agent = world.AgentOf("pretrain");
        agent.Spoilt.Add(8);
        await world.Until("mini", v => v.Stages[0].Step >= 12);
        agent.KillRank();
        var view = await world.Until("mini", v => v.Ended);

        Assert.Equal("completed", view.State);
        var back = Assert.Single(agent.Orders.OfType<WorkerOrder.RollBack>());
        Assert.Equal((5, 1), (back.ToStep, back.SkipSteps));
        Assert.Equal([8L], back.Assignment.LeftOut);
        Assert.Equal([8L], Assert.Single(agent.Orders.OfType<WorkerOrder.RestartRanks>()).Assignment.LeftOut);
        Assert.Equal(1, view.Stages[0].RestartsByCause["not finite"]);
        var told = Assert.Single(world.Events, e => e.Kind == "not-finite");
        Assert.Equal("the loss became NaN at step 8 (micro-batch 2); batch 8 (pairs.jsonl, line 7) is left out; goes on from step 5",
            told.Text);
    }

    [Fact]
    public async Task A_second_break_soon_after_the_first_fails_the_stage_with_what_to_change_and_a_retry_goes_back_before_it()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 30)), Ct);
        await world.Until("mini", v => v.Stages[0].State == "running");
        world.AgentOf("pretrain").Spoilt.UnionWith([8, 9]);
        var failed = await world.Until("mini", v => v.Ended);

        Assert.Equal("failed", failed.State);
        Assert.Equal(2, failed.Stages[0].Attempt);
        Assert.Contains("the loss became NaN at step 8 (micro-batch 2), the second time within 500 steps", failed.Reason,
            StringComparison.Ordinal);
        Assert.Contains("batch 8 was left out", failed.Reason, StringComparison.Ordinal);
        string[] changes =
        [
            "learningRate", "optimizer.gradClip", "model.initStd", "the data of batch 9: pairs.jsonl, line 7", "dsops clone mini",
            "dsops retry mini",
        ];
        foreach (string change in changes)
        {
            Assert.Contains(change, failed.Reason, StringComparison.Ordinal);
        }

        await world.Run("mini").Retry("", null, Ct);
        await world.Until("mini", v => v.Stages[0].State == "running" && v.Stages[0].Attempt == 3);
        var start = Assert.IsType<WorkerOrder.Start>(world.AgentOf("pretrain").Orders[0]);
        Assert.Equal(5, start.Assignment.ResumeFrom!.Step);
        Assert.Equal([8L], start.Assignment.LeftOut);
        world.AgentOf("pretrain").Spoilt.Add(9);
        Assert.Equal("completed", (await world.Until("mini", v => v.Ended)).State);
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public async Task A_rank_that_trains_on_with_a_loss_that_is_not_finite_is_stopped_and_its_checkpoints_are_not_used(double loss)
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 30)), Ct);
        await world.Until("mini", v => v.Stages[0].State == "running");
        world.AgentOf("pretrain").LossOf = step => step >= 8 ? loss : 1;
        var view = await world.Until("mini", v => v.Ended);

        Assert.Equal("failed", view.State);
        Assert.Equal(2, view.Stages[0].Attempt);
        Assert.DoesNotContain(world.Kinds("pretrain"), k => k == "completed");
        Assert.All(world.Checkpoints.Values.Where(c => c.Usable), c => Assert.True(double.IsFinite(c.Made.Loss), $"step {c.Made.Step}"));
    }

    [Fact]
    public async Task A_stage_whose_last_step_is_not_finite_is_not_completed()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 12)), Ct);
        await world.Until("mini", v => v.Stages[0].State == "running");
        world.AgentOf("pretrain").LossOf = step => step == 12 ? double.NaN : 1;
        Assert.Equal("failed", (await world.Until("mini", v => v.Ended)).State);
    }
}
