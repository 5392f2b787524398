using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tests.Health;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

public sealed class StageStoreTests
{
    private static readonly StoredCopy Copy = new("s3://b/p/run/stage/step", DateTimeOffset.UnixEpoch, TimeSpan.FromSeconds(3));

    [Fact]
    public void A_store_that_is_away_is_an_incident_that_ends_nothing_until_a_copy_is_whole()
    {
        var running = new RunningStage();
        var now = running.After(TimeSpan.FromSeconds(1));
        var note = new WorkerNote(now.At, "Checkpoints cannot be copied", running.Stage.Attempt)
        {
            StoreAway = "s3://b/p", Node = "node-0",
        };
        Observation With(News news) => running.Observe(now) with { News = news };
        var told = StagePlanner.Decide(running.Stage, With(News.None with { Notes = [note] }), now.At);
        var incident = told.Next.NewestIncident!;
        Assert.Equal(("checkpoint store away", true), (incident.Diagnosis!.Cause, incident.Open));
        Assert.Contains("s3://b/p does not take the checkpoints of", incident.Sentence, StringComparison.Ordinal);
        Assert.Empty(told.Actions);
        var newest = told.Next.Checkpoints[^1].Made;
        // A checkpoint that is durable in its folder says nothing of the store.
        var made = newest with { Step = newest.Step + 10, Path = "a/pretrain/step-later", Digest = "d" };
        var saved = StagePlanner.Decide(told.Next, With(News.None with { Checkpoints = [made] }), now.At).Next;
        Assert.True(saved.NewestIncident!.Open);
        var over = StagePlanner.Decide(
            saved, With(News.None with { Stored = [new StoredTold(made.Step, "d", Copy)] }), now.At).Next;
        Assert.True(over.NewestIncident is { Open: false, Outcome.BackAt: not null });
        Assert.Contains(over.Outbox, e => e.Kind == "store-back");
        Assert.Equal(Copy, over.Checkpoints[^1].Stored);
        Assert.Equal(made.Lag, over.Checkpoints[^1].Made.Lag);
    }

    [Fact]
    public void What_the_store_lags_behind_with_stays_usable_there_until_it_has_newer_ones()
    {
        var all = Enumerable.Range(1, 5).Aggregate(ImmutableArray<StageCheckpoint>.Empty, (known, i) =>
        {
            known = CheckpointChoice.Retain(CheckpointChoice.Add(known, Made(i), ""), keep: 2);
            return i <= 2 ? CheckpointChoice.TakeStored(known, new StoredTold(i, $"d{i}", Copy)) : known;
        });
        Assert.Equal([1L, 2, 4, 5], all.Where(c => c.Usable).Select(c => c.Made.Step));
        Assert.Equal([1L, 2], all.Where(c => c.OnlyStored).Select(c => c.Made.Step));
        Assert.Equal("the newest 2 are kept", all.Single(c => c.Made.Step == 3).Reason);
        // Twice the same is told, and of another checkpoint of that step nothing is taken.
        Assert.Equal(all, CheckpointChoice.TakeStored(all, new StoredTold(2, "d2", Copy)));
        Assert.Equal(all, CheckpointChoice.TakeStored(all, new StoredTold(5, "other", Copy)));
        all = CheckpointChoice.Retain(CheckpointChoice.TakeStored(all, new StoredTold(5, "d5", Copy)), keep: 2);
        Assert.Equal([2L, 4, 5], all.Where(c => c.Usable).Select(c => c.Made.Step));
    }

    [Fact]
    public void A_pipelines_word_on_its_store_counts_before_the_clusters()
    {
        var usual = StoreAccess.Default with { Uri = "s3://usual", Endpoint = "http://minio" };
        Assert.Equal("s3://usual", usual.For("")?.Uri);
        Assert.Equal(("s3://own", "http://minio"), usual.For("s3://own") is { } own ? (own.Uri, own.Endpoint) : default);
        Assert.Null(usual.For("none"));
        Assert.Null(StoreAccess.Default.For(""));
    }

    private static CheckpointMade Made(long step) => new(
        step, $"p{step}", 1, $"d{step}", 1, 1, "", TimeSpan.Zero, TimeSpan.FromSeconds(1), DateTimeOffset.UnixEpoch, 1, false);
}
