using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tests.Health;
using DeepSeekOps.Recipes.Files;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

public sealed class FullDiskTests
{
    [Fact]
    public void A_save_without_room_is_an_incident_that_ends_nothing_until_a_later_checkpoint_is_durable()
    {
        var running = new RunningStage();
        var now = running.After(TimeSpan.FromSeconds(1));
        var note = new WorkerNote(now.At, "could not be written", running.Stage.Attempt)
        {
            FullDisk = "/mnt/ckpt (tmpfs)", Node = "node-0",
        };
        Observation With(News news) => running.Observe(now) with { News = news };
        var told = StagePlanner.Decide(running.Stage, With(News.None with { Notes = [note] }), now.At);
        var incident = told.Next.NewestIncident!;
        Assert.Equal(("disk full", true), (incident.Diagnosis!.Cause, incident.Open));
        Assert.Contains("/mnt/ckpt (tmpfs) has no room", incident.Sentence, StringComparison.Ordinal);
        Assert.Empty(told.Actions);
        // Another rank says the same.
        var again = StagePlanner.Decide(told.Next, With(News.None with { Notes = [note with { Node = "node-1" }] }), now.At);
        Assert.Equal(incident, again.Next.NewestIncident);
        var newest = running.Stage.Checkpoints[^1].Made;
        var made = newest with { Step = incident.Diagnosis.Step + 10, Path = "a/pretrain/step-later", Digest = "d" };
        var over = StagePlanner.Decide(told.Next, With(News.None with { Checkpoints = [made] }), now.At).Next;
        Assert.True(over.NewestIncident is { Open: false, Outcome.BackAt: not null });
        Assert.Contains(over.Outbox, e => e.Kind == "disk-free");
    }

    [Fact]
    public void A_path_lies_on_the_longest_mount_that_holds_it_and_a_later_one_covers_an_earlier()
    {
        const string Mounts = """
            22 1 259:1 / / rw - ext4 /dev/root rw
            40 22 0:40 / /srv/ck\040pt rw shared:1 - tmpfs tmpfs rw
            41 22 0:41 / /srv/ck rw - xfs /dev/sdb rw
            42 22 0:42 / /srv/ck rw - tmpfs tmpfs rw
            nonsense
            """;
        Assert.Equal("/srv/ck pt (tmpfs)", MountPoint.Of("/srv/ck pt/run/x", Mounts).InWords);
        Assert.Equal("/srv/ck (tmpfs)", MountPoint.Of("/srv/ck", Mounts).InWords);
        Assert.Equal("/ (ext4)", MountPoint.Of("/srv/ckpt", Mounts).InWords);
        Assert.Equal("/", MountPoint.Of("/srv", "").InWords);
    }
}
