using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

public sealed class RunGrainTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Stages_run_in_order_and_hand_on_their_final_checkpoint()
    {
        await using var world = await World.Begin();
        var submitted = await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 12), ("sft", 7)), Ct);
        Assert.IsType<SubmitResult.Created>(submitted);

        var view = await world.Until("mini", v => v.Ended);

        Assert.Equal("completed", view.State);
        Assert.Contains(world.Samples, s => s.Extra.GetValueOrDefault("tokens_per_second") == 1000);
        Assert.All(view.Stages, s => Assert.Equal("completed", s.State));
        Assert.Equal([12, 7], view.Stages.Select(s => s.Step));
        var start = Assert.IsType<WorkerOrder.Start>(world.Cluster.Agents.Single(a => a.Stage.Stage == "sft").Orders[0]);
        Assert.Equal(("pretrain", 12), (start.Assignment.BeginFrom!.Stage, start.Assignment.BeginFrom.Step));
        Assert.Equal("mini/pretrain step 12, sample 12", world.Checkpoints[(new StageId("mini", "sft"), 7)].Lineage);
        Assert.Empty(world.Cluster.Alive);
        Assert.Equal(["queued", "placed", "started", "checkpoint", "checkpoint", "checkpoint", "completed"], world.Kinds("pretrain"));
        Assert.Equal(Enumerable.Range(1, 12).Select(s => (long)s), world.Samples.Where(s => s.Tokens <= 1200).Take(12).Select(s => s.Step));
        Assert.Equal([5L, 10, 5], world.ExpertLoads.Select(l => l.Step));
    }

    [Fact]
    public async Task A_control_plane_begins_beside_a_cluster_that_does_not_answer_and_goes_on_once_it_does()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 12)), Ct);
        await world.Until("mini", v => v.Stages[0].Step >= 3);
        world.Cluster.Blind = true;
        await world.KillSilo();
        await world.StartSilo();
        Assert.False((await world.View("mini")).Ended);
        world.Cluster.Blind = false;
        Assert.Equal("completed", (await world.Until("mini", v => v.Ended)).State);
    }

    [Fact]
    public async Task A_killed_rank_is_restarted_in_place_from_the_newest_checkpoint()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 40)), Ct);
        await world.Until("mini", v => v.Stages[0].CheckpointStep >= 5 && v.Stages[0].State == "running");
        var agent = world.AgentOf("pretrain");
        Assert.Equal(1000, (await world.View("mini")).Stages[0].TokensPerSecond!.Value, 6);
        long step = agent.Rank!.Step;
        agent.KillRank();

        var view = await world.Until("mini", v => v.Ended);

        Assert.Equal("completed", view.State);
        Assert.Equal(2, view.Stages[0].Attempt);
        Assert.Equal(1, view.Stages[0].RestartsByCause["rank exited"]);
        var incident = world.Incidents[(new StageId("mini", "pretrain"), 1)];
        Assert.Equal(("killed", 1), (incident.Diagnosis!.Class, Assert.Single(incident.FailedAttempts)));
        Assert.Contains(world.Evidence.Keys, e => e.Attempt == 1);
        var restart = Assert.IsType<WorkerOrder.RestartRanks>(agent.Orders.Single(o => o is WorkerOrder.RestartRanks));
        long from = restart.Assignment.ResumeFrom!.Step;
        Assert.InRange(from, 5, step);
        Assert.Contains(world.Events,
            e => e.Text
                == $"rank 0 on node-0 was ended by signal 9 (SIGKILL) at step {step}; restarting in place; goes on from step {from}");
        Assert.Contains(world.Events, e => e.Kind == "recovered"
            && e.Text.StartsWith($"trains again: first new step {from + 1} after ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_held_run_launches_nothing_again_through_a_silos_death_until_it_is_released()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 4000)), Ct);
        await world.Until("mini", v => v.Stages[0].State == "running");
        var asked = new HandAsked("", 0, "ann", "looks at it");
        Assert.IsType<CommandResult.Taken>(await world.Run("mini").Hand(HandVerb.Hold, asked, Ct));
        world.AgentOf("pretrain").KillRank();
        await world.Until("mini", v => v.Stages[0].Reason.Contains("would have done this: restarting in place", StringComparison.Ordinal));
        await world.KillSilo();
        await world.StartSilo();
        var view = await world.Until("mini",
            v => v.Stages[0].Reason.Contains("would have done this: restarting in place", StringComparison.Ordinal));
        Assert.Equal((1, "ann"), (view.Stages[0].Attempt, view.Held!.By));
        Assert.DoesNotContain(world.AgentOf("pretrain").Orders, o => o is WorkerOrder.RestartRanks);
        Assert.IsType<CommandResult.Taken>(await world.Run("mini").Hand(HandVerb.Release, asked, Ct));
        view = await world.Until("mini", v => v.Stages[0].Attempt == 2 && v.Stages[0].State == "running");
        Assert.Null(view.Held);
        var incident = world.Incidents[(new StageId("mini", "pretrain"), 1)];
        Assert.Contains(incident.Steps, s => s.Text.StartsWith("held by ann", StringComparison.Ordinal));
    }

    [Fact]
    public async Task News_of_a_rank_exit_leads_to_the_restart_order_without_waiting_for_the_timer()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 4000)), Ct);
        await world.Until("mini", v => v.Stages[0].State == "running");
        var agent = world.AgentOf("pretrain");
        agent.KillRank();

        // The clock stands still, so no timer fires: only the news itself can bring the decision.
        var watch = System.Diagnostics.Stopwatch.StartNew();
        var first = await agent.Beat(world.Grains, world.Clock.GetUtcNow());
        while (!agent.Orders.Any(o => o is WorkerOrder.RestartRanks) && watch.Elapsed < TimeSpan.FromMinutes(5))
        {
            await agent.Beat(world.Grains, world.Clock.GetUtcNow());
        }

        Assert.Contains(agent.Orders, o => o is WorkerOrder.RestartRanks);
        Assert.True(first!.BeatEvery <= TimeSpan.FromMilliseconds(50), $"next beat in {first.BeatEvery}");
    }

    [Fact]
    public async Task News_of_a_hundred_beats_during_a_turn_asks_for_one_more_and_later_news_for_the_next()
    {
        const int News = 100;
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 4000)), Ct);
        await world.Until("mini", v => v.Stages[0].State == "running");
        var agent = world.AgentOf("pretrain");
        var grain = world.Grains.GetGrain<IStageGrain>(agent.Stage.ToString());
        // The clock stands still: no timer makes a turn beside those that are asked for. This is one that can be waited for.
        Task Turn() => grain.Cast<IRemindable>().ReceiveReminder("tick", default);
        await Turn();
        int looks = 0;
        var (begun, held) = (new TaskCompletionSource(), new TaskCompletionSource());
        world.Cluster.BeforeLook = () =>
        {
            Interlocked.Increment(ref looks);
            begun.TrySetResult();
            return held.Task;
        };
        Task<WorkerReply> Tell(int number) => grain.Heartbeat(agent.Beat() with
        {
            Evaluations = [new Evaluation("heldout_loss", number, null, null, 1, number, world.Clock.GetUtcNow(), 1)],
        });
        await Tell(1);
        await begun.Task;
        for (int i = 2; i <= News; i++)
        {
            await Tell(i);
        }

        held.SetResult();
        // Calls are taken in turn: after this one all are made that were asked for.
        await Turn();
        // The held turn, the one after what it wrote, the one more and this one; the cluster's own look may be among them.
        Assert.InRange(looks, 3, 6);
        Assert.True((await grain.Heartbeat(agent.Beat())).Acknowledged >= agent.Sequence - 1, "all of it is decided on");

        await Tell(News + 1);
        long last = agent.Sequence;
        var watch = System.Diagnostics.Stopwatch.StartNew();
        while ((await grain.Heartbeat(agent.Beat())).Acknowledged < last)
        {
            Assert.True(watch.Elapsed < TimeSpan.FromMinutes(5), "later news asked for no turn");
        }
    }

    [Fact]
    public async Task A_lost_agent_moves_the_stage_to_the_spare_node()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 40)), Ct);
        await world.Until("mini", v => v.Stages[0].CheckpointStep >= 5 && v.Stages[0].State == "running");
        world.AgentOf("pretrain").End(137);

        var view = await world.Until("mini", v => v.Ended);

        Assert.Equal("completed", view.State);
        Assert.Equal(["node-0", "node-1"], world.Cluster.Agents.Select(a => a.Node.Name));
        Assert.Contains(world.Events,
            e => e.Kind == "agent-lost" && e.Text.Contains("a new gang that avoids node-0", StringComparison.Ordinal));
        Assert.Contains(world.Events, e => e.Kind == "recovered");
    }

    [Fact]
    public async Task Workers_train_on_while_the_control_plane_is_dead_and_are_taken_back()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 60), ("sft", 5)), Ct);
        await world.Until("mini", v => v.Stages[0].CheckpointStep >= 5 && v.Stages[0].State == "running");
        var agent = world.AgentOf("pretrain");
        await world.KillSilo();
        agent.Mute = true;
        for (int i = 0; i < 20; i++)
        {
            await agent.Beat(null!, world.Clock.GetUtcNow());
            world.Clock.Advance(TimeSpan.FromSeconds(1));
        }

        agent.Mute = false;
        await world.StartSilo();
        var view = await world.Until("mini", v => v.Ended);

        Assert.Equal("completed", view.State);
        Assert.Equal(1, view.Stages[0].Attempt);
        Assert.Empty(view.Stages[0].RestartsByCause);
        Assert.Contains(world.Events, e => e.Kind == "agent-back");
        Assert.Equal(60, world.Samples.Where(s => s.Tokens > 0).Select(s => s.Step).Distinct().Count());
    }

    [Fact]
    public async Task A_cluster_that_cannot_be_asked_ends_nothing()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 100_000)), Ct);
        await world.Until("mini", v => v.Stages[0].State == "running");
        world.Cluster.Blind = true;
        var agent = world.AgentOf("pretrain");
        agent.Mute = true;
        for (int minute = 0; minute < 60; minute++)
        {
            world.Clock.Advance(TimeSpan.FromMinutes(1));
            await world.View("mini");
        }

        agent.Mute = false;
        await world.Step();
        world.Cluster.Blind = false;

        var view = await world.Until("mini", v => v.Stages[0].Step > 60);

        Assert.Equal((1, "running"), (view.Stages[0].Attempt, view.Stages[0].State));
    }

    [Fact]
    public async Task A_hung_rank_is_restarted()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 40)), Ct);
        await world.Until("mini", v => v.Stages[0].CheckpointStep >= 5 && v.Stages[0].State == "running");
        var agent = world.AgentOf("pretrain");
        agent.Stands = true;
        await world.Until("mini", v => v.Stages[0].Attempt == 2);
        agent.Stands = false;

        Assert.Equal("completed", (await world.Until("mini", v => v.Ended)).State);
        Assert.Contains(world.Events, e => e.Kind == "rank-hung" && e.Text.Contains("made no progress for", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_same_crash_three_times_without_a_new_checkpoint_fails_the_run_with_that_reason()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 40)), Ct);
        await world.Until("mini", _ => !world.Cluster.Alive.IsEmpty);
        world.AgentOf("pretrain").CrashesWith = "the queue of answers is empty";

        var view = await world.Until("mini", v => v.Ended);

        Assert.Equal("failed", view.State);
        Assert.Contains("3 launches ended by the same fault without a new checkpoint", view.Reason, StringComparison.Ordinal);
        Assert.Contains("the queue of answers is empty", view.Reason, StringComparison.Ordinal);
        Assert.Equal(3, view.Stages[0].Attempt);
        Assert.Empty(world.Cluster.Alive);
    }

    [Fact]
    public async Task A_refused_checkpoint_is_quarantined_and_an_older_one_is_used()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 40)), Ct);
        await world.Until("mini", v => v.Stages[0].CheckpointStep >= 10 && v.Stages[0].State == "running");
        var agent = world.AgentOf("pretrain");
        long newest = (await world.View("mini")).Stages[0].CheckpointStep!.Value;
        agent.Refuses.Add($"mini/pretrain/step-{newest:00000000}");
        agent.KillRank();

        var view = await world.Until("mini", v => v.Ended);

        Assert.Equal("completed", view.State);
        Assert.Contains(world.Events, e => e.Kind == "checkpoint-refused");
        Assert.Contains(agent.Orders.OfType<WorkerOrder.RestartRanks>(), o => o.Assignment.ResumeFrom?.Step < newest);
    }
}
