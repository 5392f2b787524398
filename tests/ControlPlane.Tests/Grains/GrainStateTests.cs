using DeepSeekOps.ControlPlane.Grains;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

/// <summary>A record that is written and cannot be read back shows only once a grain is activated again.</summary>
public sealed class GrainStateTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Run_stage_and_cluster_are_read_back_as_they_were_written()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 100_000), ("sft", 5)), Ct);
        var before = await world.Until("mini", v => v.Stages[0].CheckpointStep >= 10 && v.Stages[0].State == "running");
        world.AgentOf("pretrain").KillRank();
        before = await world.Until("mini", v => v.Stages[0].State == "running" && v.Stages[0].Attempt == 2);
        await world.KillSilo();
        await world.StartSilo();

        var after = await world.View("mini");
        var nodes = (await world.Grains.GetGrain<IClusterGrain>(IClusterGrain.Key).Describe()).Nodes;

        Assert.Equal((before.State, before.PipelineText, before.SubmittedAt), (after.State, after.PipelineText, after.SubmittedAt));
        var (was, stage) = (before.Stages[0], after.Stages[0]);
        Assert.Equal((was.State, was.Attempt, was.CheckpointStep, was.StartedAt),
            (stage.State, stage.Attempt, stage.CheckpointStep, stage.StartedAt));
        Assert.Equal(1, stage.RestartsByCause["rank exited"]);
        Assert.Equal([1, 0], nodes.Select(n => n.SlotsUsed));
    }

    [Fact]
    public async Task A_record_that_somebody_else_wrote_is_read_again_and_decided_on_again()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 30)), Ct);
        await world.Until("mini", v => v.Stages[0].State == "running");
        world.Storage.Touch(world.Storage.Keys.Single(k => k.StartsWith("stage/", StringComparison.Ordinal)));

        Assert.Equal("completed", (await world.Until("mini", v => v.Ended)).State);
    }

    [Fact]
    public async Task A_disk_that_fails_a_write_loses_nothing()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 30)), Ct);
        await world.Until("mini", v => v.Stages[0].State == "running");
        int left = 3;
        world.Storage.BeforeWrite = _ =>
        {
            if (Interlocked.Decrement(ref left) >= 0)
            {
                throw new IOException("No space left on device");
            }
        };

        Assert.Equal("completed", (await world.Until("mini", v => v.Ended)).State);
        Assert.True(left < 0);
    }
}
