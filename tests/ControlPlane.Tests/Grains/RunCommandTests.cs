using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

public sealed class RunCommandTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Paused_saves_first_and_resumed_goes_on_from_there()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 60)), Ct);
        await world.Until("mini", v => v.Stages[0].State == "running" && v.Stages[0].Step >= 7);
        Assert.IsType<CommandResult.Taken>(await world.Run("mini").Pause("the machine is needed", Ct));
        var paused = await world.Until("mini", v => v.State == "paused");

        Assert.Empty(world.Cluster.Alive);
        long saved = paused.Stages[0].CheckpointStep!.Value;
        Assert.Contains("the machine is needed", paused.Reason, StringComparison.Ordinal);

        await world.Run("mini").Resume("", Ct);
        Assert.Equal("completed", (await world.Until("mini", v => v.Ended)).State);
        var start = Assert.IsType<WorkerOrder.Start>(world.Cluster.Agents[^1].Orders[0]);
        Assert.Equal(saved, start.Assignment.ResumeFrom!.Step);
    }

    [Fact]
    public async Task What_a_person_asked_for_is_written_with_it_and_what_followed_as_the_systems_own()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 4000)), Ct);
        await world.Until("mini", v => v.Stages[0].State == "running");
        Asked.For(new AuditAct("id", DateTimeOffset.UnixEpoch, "ann", "a token", "cli", "cancel-run", "mini", "mini", "wrong data",
            AuditAct.Done));
        await world.Run("mini").Cancel("wrong data", Ct);
        // It is over: what is asked for then is refused, and writes nothing.
        await world.Until("mini", v => v.Ended);
        Asked.For(new AuditAct("another", DateTimeOffset.UnixEpoch, "ann", "a token", "cli", "pause-run", "mini", "mini", "",
            AuditAct.Done));
        Assert.IsType<CommandResult.Refused>(await world.Run("mini").Pause("", Ct));
        Asked.ForNothing();

        string[] told = [.. world.Storage.Acts.Select(a => $"{a.Who}: {a.Act} {a.Target}")];
        int asked = Array.IndexOf(told, "ann: cancel-run mini");
        Assert.InRange(Array.IndexOf(told, "scheduler: placed mini/pretrain attempt 1"), 0, asked - 1);
        Assert.InRange(Array.IndexOf(told, "runs: cancelled mini/pretrain attempt 1"), asked + 1, told.Length);
        Assert.Single(told, t => t.StartsWith("ann", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Checkpoints_of_a_run_that_is_not_known_are_refused_in_words_and_adopted_when_a_person_says_so()
    {
        await using var world = await World.Begin();
        var stage = new StageId("mini", "pretrain");
        world.Cluster.Folders[stage] = new StageFolder("/checkpoints/mini/pretrain", [OnDisk(5, attempt: 3), OnDisk(10, attempt: 4)]);
        var submission = TestPipelines.Of("mini", ("pretrain", 12));
        var occupied = Assert.IsType<SubmitResult.Occupied>(await world.Run("mini").Submit(submission, Ct));
        Assert.Contains("lie in /checkpoints/mini (pretrain 2 checkpoints, steps 5 to 10)", occupied.Reason, StringComparison.Ordinal);
        Assert.Contains("--adopt", occupied.Reason, StringComparison.Ordinal);
        Assert.Null(await world.Run("mini").Describe());

        Assert.IsType<SubmitResult.Created>(await world.Run("mini").Submit(submission with { Adopt = true }, Ct));
        Assert.Equal("completed", (await world.Until("mini", v => v.Ended)).State);
        var start = Assert.IsType<WorkerOrder.Start>(world.Cluster.Agents[0].Orders[0]).Assignment;
        Assert.Equal((5, 10L), (start.Attempt, start.ResumeFrom!.Step));
        Assert.Equal([Adoption.RegistrationOf(new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero)), "of-another-database"], start.Registrations);
    }

    private static CheckpointOnDisk OnDisk(long step, int attempt) => new(
        new CheckpointMade(step, $"mini/pretrain/step-{step:D8}", 1, $"digest-{step}", step * 100, 1, "", TimeSpan.Zero, TimeSpan.Zero,
            DateTimeOffset.UnixEpoch, attempt, false), "of-another-database");

    [Fact]
    public async Task Cancelled_ends_the_gang_and_gives_its_nodes_back()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 4000)), Ct);
        await world.Until("mini", v => v.Stages[0].State == "running");
        await world.Run("mini").Cancel("wrong data", Ct);

        var view = await world.Until("mini", v => v.Ended);

        Assert.Equal("cancelled", view.State);
        Assert.Contains("wrong data", view.Reason, StringComparison.Ordinal);
        Assert.Empty(world.Cluster.Alive);
        var cluster = await world.Grains.GetGrain<IClusterGrain>(IClusterGrain.Key).Describe();
        Assert.All(cluster.Nodes, n => Assert.Equal(0, n.SlotsUsed));
        Assert.IsType<CommandResult.Refused>(await world.Run("mini").Pause("too late", Ct));
    }

    [Fact]
    public async Task Retry_from_a_checkpoint_does_the_stage_and_what_came_later_again()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 12), ("sft", 7)), Ct);
        await world.Until("mini", v => v.State == "completed");

        var refused = Assert.IsType<CommandResult.Refused>(await world.Run("mini").Retry("pretrain", 9, Ct));
        Assert.Contains("usable: 5, 10, 12", refused.Reason, StringComparison.Ordinal);
        Assert.IsType<CommandResult.Taken>(await world.Run("mini").Retry("pretrain", 5, Ct));
        var view = await world.Until("mini", v => v.State == "completed");

        Assert.Equal([2, 2], view.Stages.Select(s => s.Attempt));
        var again = Assert.IsType<WorkerOrder.Start>(world.Cluster.Agents.Last(a => a.Stage.Stage == "pretrain").Orders[0]);
        Assert.Equal(5, again.Assignment.ResumeFrom!.Step);
        var later = Assert.IsType<WorkerOrder.Start>(world.Cluster.Agents.Last(a => a.Stage.Stage == "sft").Orders[0]);
        Assert.Null(later.Assignment.ResumeFrom);
    }

    [Fact]
    public async Task Retry_of_a_running_stage_from_a_checkpoint_rolls_it_back_in_place()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 60)), Ct);
        await world.Until("mini", v => v.Stages[0].CheckpointStep >= 15);
        var agent = world.AgentOf("pretrain");
        Assert.IsType<CommandResult.Taken>(await world.Run("mini").Retry("", 10, Ct));

        var view = await world.Until("mini", v => v.Ended);

        Assert.Equal("completed", view.State);
        var back = Assert.Single(agent.Orders.OfType<WorkerOrder.RollBack>());
        Assert.Equal((10, 10), (back.ToStep, back.Assignment.ResumeFrom!.Step));
        Assert.Single(world.Cluster.Agents);
    }

    [Fact]
    public async Task The_same_pipeline_twice_is_one_run_and_another_one_is_refused_with_the_difference()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 12)), Ct);
        Assert.IsType<SubmitResult.Same>(await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 12)), Ct));
        var other = Assert.IsType<SubmitResult.Different>(await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 13)), Ct));
        Assert.Contains(other.Differences, d => d.Contains("12", StringComparison.Ordinal) && d.Contains("13", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_clone_with_changes_is_another_run()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 6)), Ct);
        var submission = (await world.Run("mini").Submission())!;
        var clone = submission with { Name = "mini-2", Pipeline = submission.Pipeline with { Name = "mini-2", Seed = 2 } };
        Assert.IsType<SubmitResult.Created>(await world.Run("mini-2").Submit(clone, Ct));
        Assert.Equal("completed", (await world.Until("mini", v => v.Ended)).State);
        Assert.Equal("completed", (await world.Until("mini-2", v => v.Ended)).State);
    }

    [Fact]
    public async Task An_observer_is_told_when_the_run_changes()
    {
        await using var world = await World.Begin();
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 12)), Ct);
        var seen = new Watcher();
        var reference = world.Grains.CreateObjectReference<IRunObserver>(seen);
        await world.Run("mini").Subscribe(reference);

        await world.Until("mini", v => v.Ended && seen.Seen.Any(s => s.Ended));

        Assert.Contains(seen.Seen, s => s.Stages[0].State == "running");
        GC.KeepAlive(seen);
    }

    private sealed class Watcher : IRunObserver
    {
        public System.Collections.Concurrent.ConcurrentQueue<RunView> Seen { get; } = new();

        public Task Changed(RunView run)
        {
            Seen.Enqueue(run);
            return Task.CompletedTask;
        }
    }
}
