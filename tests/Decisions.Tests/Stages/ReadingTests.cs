using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tests.Health;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>Checkpoints that agents read again beside the training. Pure; some milliseconds each.</summary>
public sealed class ReadingTests
{
    private static readonly DateTimeOffset Began = new(2026, 1, 2, 8, 0, 0, TimeSpan.Zero);

    private readonly RunningStage running = new();

    [Fact]
    public void The_newest_that_nobody_has_read_comes_first_then_the_one_read_longest_ago_and_only_after_a_day()
    {
        ImmutableArray<StageCheckpoint> all = [Of(10, read: Began), Of(20), Of(30), Of(40) with { State = CheckpointState.Quarantined }];
        Assert.Equal(30, CheckpointReadings.Next(all, Began)?.Made.Step);
        all = [Of(10, read: Began), Of(20, read: Began.AddHours(-2)), Of(30, read: Began.AddHours(-1))];
        Assert.Null(CheckpointReadings.Next(all, Began.AddHours(21)));
        var (made, why) = CheckpointReadings.Next(all, Began.AddHours(22))!.Value;
        Assert.Equal((20, "it was read last 1 d ago"), (made.Step, why));
        // What has no digest has no files: it is simulated.
        Assert.Null(CheckpointReadings.Next([Of(10) with { Made = Of(10).Made with { Digest = "" } }], Began));
    }

    [Fact]
    public void What_could_not_be_read_is_tried_again_after_an_hour()
    {
        ImmutableArray<StageCheckpoint> all = [Of(10) with { Unread = new UnreadCheckpoint(Began, "the disk is away") }];
        Assert.Null(CheckpointReadings.Next(all, Began.AddMinutes(59)));
        Assert.Equal(10, CheckpointReadings.Next(all, Began.AddMinutes(60))?.Made.Step);
    }

    [Fact]
    public void The_last_that_was_read_whole_stays_however_many_come_after_it_and_goes_once_a_newer_one_is_trusted()
    {
        ImmutableArray<StageCheckpoint> all = [Of(10, read: Began)];
        for (long step = 20; step <= 60; step += 10)
        {
            // What the worker is told before a save keeps what the list keeps after it.
            var told = CheckpointChoice.LeftAlone(all, 2);
            all = CheckpointChoice.Retain(CheckpointChoice.Add(all, Of(step).Made, ""), 2);
            Assert.Equal(step > 20, told.Contains(10));
            Assert.Equal([10, .. new[] { step - 10, step }.Where(s => s > 10)], Usable(all));
        }

        all = CheckpointReadings.Trust(all, made => made.Step == 60, new CheckpointTrust(Began, "a test"));
        Assert.Empty(CheckpointChoice.LeftAlone(all, 2));
        Assert.Equal([60L, 70], Usable(CheckpointChoice.Retain(CheckpointChoice.Add(all, Of(70).Made, ""), 2)));
    }

    [Fact]
    public void A_stage_that_trains_asks_each_agent_for_its_share_until_it_has_told_and_then_knows_by_whom_it_was_read()
    {
        var asked = Tell(running.Stage);
        var order = StageReading.For(asked, running.Node)!;
        Assert.Equal(asked.Checkpoints[^1].Made.Digest, order.Digest);
        // A newer checkpoint comes in between, and what is being read is read to its end.
        var newer = Newer(asked, 5);
        var later = Tell(asked, News.None with { Checkpoints = [newer] });
        Assert.Equal(order.Id, later.Reading?.Id);
        var read = Tell(later, News.None with { Reads = [new CheckpointRead(order.Id, 0, running.Node.Name, "")] });
        Assert.Equal($"the agent on {running.Node}", read.Checkpoints.Single(c => c.Made.Digest == order.Digest).Trust?.By);
        Assert.Equal(newer.Step, read.Reading?.Step);
        // Told twice, or of a reading that is over: nothing follows.
        var twice = Tell(read, News.None with { Reads = [new CheckpointRead(order.Id, 0, "node-9", "gone")] });
        Assert.Equal(read.Checkpoints, twice.Checkpoints);
    }

    [Fact]
    public void A_disk_that_cannot_be_read_refuses_no_checkpoint_and_is_told()
    {
        var asked = Tell(running.Stage);
        var next = Tell(asked, News.None with { Reads = [new CheckpointRead(asked.Reading!.Id, 0, "node-0", "Input/output error")] });
        Assert.True(next.Checkpoints[^1] is { Usable: true, Trust: null });
        Assert.Equal("the agent on node-0 could not read it: Input/output error", next.Checkpoints[^1].Unread?.Why);
        Assert.Contains(next.Outbox, e => e.Kind == "checkpoint-unread" && e.Text.Contains("tried again in 1 h", StringComparison.Ordinal));
        Assert.Null(next.Reading);
    }

    [Fact]
    public void A_damaged_one_is_an_incident_that_ends_nothing_a_save_is_asked_for_and_a_newer_one_read_whole_closes_it()
    {
        var asked = Tell(running.Stage);
        var bad = asked.Checkpoints[^1].Made;
        var refused = new RefusedCheckpoint(bad.Path, "model.safetensors has another SHA-256")
        {
            Attempt = asked.Attempt, Digest = bad.Digest,
        };
        var decision = Decide(asked, News.None with { Refused = [refused] });
        var found = decision.Next;
        Assert.Empty(decision.Actions);
        Assert.Equal(CheckpointState.Quarantined, found.Checkpoints.Single(c => c.Made == bad).State);
        Assert.True(found.NewestIncident is { Open: true, Diagnosis.Cause: "checkpoint damaged" });
        Assert.Contains("model.safetensors", found.NewestIncident!.Sentence, StringComparison.Ordinal);
        Assert.Contains(found.NewestIncident.RefusedCheckpoints, r => r.Path == bad.Path);
        Assert.Contains("asks for a checkpoint, since", decision.Reason, StringComparison.Ordinal);
        var rank = running.Rank(found, bad.Step + 1);
        Assert.IsType<WorkerOrder.SaveCheckpoint>(WorkerOrders.For(found, running.Node, found.Attempt, [rank]));
        var saved = Tell(found, News.None with { Checkpoints = [Newer(found, 1)] });
        Assert.IsType<WorkerOrder.Continue>(WorkerOrders.For(saved, running.Node, saved.Attempt, [rank]));
        Assert.True(saved.NewestIncident!.Open);
        var over = Tell(saved, News.None with { Reads = [new CheckpointRead(saved.Reading!.Id, 0, "node-0", "")] });
        Assert.True(over.NewestIncident is { Open: false, Outcome.BackAt: not null });
        Assert.Contains(over.Outbox, e => e.Kind == "checkpoint-whole");
    }

    private CheckpointMade Newer(Stage stage, long steps)
    {
        var newest = stage.Checkpoints[^1].Made;
        return newest with { Step = newest.Step + steps, Path = $"later-{steps}", Digest = $"later-{steps}", Attempt = stage.Attempt };
    }

    private Stage Tell(Stage stage, News? news = null) => Decide(stage, news ?? News.None).Next;

    private Decision Decide(Stage stage, News news) =>
        StagePlanner.Decide(stage, running.Observe(running.Now) with { News = news }, running.Now.At);

    private static long[] Usable(ImmutableArray<StageCheckpoint> all) => [.. all.Where(c => c.Usable).Select(c => c.Made.Step)];

    private static StageCheckpoint Of(long step, DateTimeOffset? read = null) => new(
        new CheckpointMade(
            step, $"mini/pretrain/step-{step:D8}", 1, $"digest-{step}", 1, 1, "", TimeSpan.Zero, TimeSpan.Zero, Began, 1, false),
        CheckpointState.Good, "", "")
    {
        Trust = read is { } at ? new CheckpointTrust(at, "the agent on node-0") : null,
    };
}
