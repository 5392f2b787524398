using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>Work is never lost or deleted unasked, whoever is away while whoever dies.</summary>
public sealed class OutageTests
{
    private const int Steps = 200;
    private static readonly TimeSpan Away = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan Minutes = Eventually.Patience;

    /// <summary>The full drill, over many seeds and for a minute each, is the benchmark `outage`.</summary>
    [Fact]
    public async Task While_the_control_plane_is_away_a_dead_rank_and_a_dead_agent_cost_no_durable_step_checkpoint_or_point_of_the_curve()
    {
        await using var dsops = await Dsops.Start();
        var calm = await OutageDrill.Undisturbed(dsops, "calm", Steps);
        foreach (var victim in new[] { Victim.Rank, Victim.Agent })
        {
            var struck = await OutageDrill.Run(dsops, $"struck-{victim.ToString().ToLowerInvariant()}", Steps, seed: 1, victim, Away);
            Assert.True(
                struck is
                {
                    TrainedAgain: 0,
                    Lost: 0
                }, $"{struck.TrainedAgain} steps again, {struck.Lost} checkpoints lost:\n{struck.Told}");
            Assert.Equal(calm.Weights, struck.Weights);
            Assert.Equal(calm.Losses.OrderBy(l => l.Key), struck.Losses.OrderBy(l => l.Key));
        }
    }

    [Fact]
    public async Task Where_every_checkpoint_is_damaged_the_stage_fails_and_only_a_person_begins_it_again()
    {
        await using var dsops = await Dsops.Start();
        await dsops.Submit(TinyPipeline.Pretraining("bad", 2000));
        var stage = await dsops.UntilStage("bad", "pretrain", "has checkpoints", Minutes, s => (long?)s["checkpointStep"] >= 20);
        int rank = (int)stage["ranks"]![0]!["pid"]!;
        string folder = Path.Combine(dsops.DataDirectory, "checkpoints", "bad", "pretrain");
        await dsops.KillControlPlane();
        foreach (int agent in dsops.LiveAgents().ToArray())
        {
            Dsops.Kill(agent);
        }

        await Eventually.Is("the rank is gone", Minutes, () => Task.FromResult(!Dsops.IsAlive(rank)));
        string[] damaged = [.. Directory.EnumerateDirectories(folder, "step-*")];
        foreach (string checkpoint in damaged)
        {
            await File.AppendAllTextAsync(Path.Combine(checkpoint, "model.safetensors"), "x", TestContext.Current.CancellationToken);
        }

        await dsops.StartDev();
        string reason = await Eventually.Get("the run has failed", Minutes, async () =>
        {
            var run = await dsops.Show("bad");
            return (string?)run["state"] == "failed" ? (string?)run["stages"]![0]!["reason"] : null;
        }, () => dsops.Evidence);
        Assert.Contains("no checkpoint can be used", reason, StringComparison.Ordinal);
        Assert.Contains("dsops retry bad --stage pretrain --from 0", reason, StringComparison.Ordinal);
        Assert.Equal(damaged.Length, Directory.EnumerateDirectories(folder, "refused-*").Count());

        Assert.Equal(0, (await dsops.Verb("retry", "bad", "--stage", "pretrain", "--from", "0")).Code);
        await dsops.UntilStage("bad", "pretrain", "trains again", Minutes, s => (string?)s["state"] == "running" && (long)s["step"]! > 0);
        Assert.Equal(damaged.Length, Directory.EnumerateDirectories(folder, "refused-*").Count());
        Assert.Equal(0, (await dsops.Verb("cancel", "bad")).Code);
    }

    [Fact]
    public async Task A_damaged_checkpoint_costs_one_launch_and_the_views_name_the_rank_that_lives()
    {
        await using var dsops = await Dsops.Start();
        await dsops.Submit(TinyPipeline.Pretraining("cut", 3000));
        var stage = await dsops.UntilStage("cut", "pretrain", "has checkpoints", Minutes, s => (long?)s["checkpointStep"] >= 30);
        int rank = (int)stage["ranks"]![0]!["pid"]!;
        Dsops.Freeze(rank);
        string newest = Directory.EnumerateDirectories(Path.Combine(dsops.DataDirectory, "checkpoints", "cut", "pretrain"), "step-*")
            .Order(StringComparer.Ordinal).Last();
        await File.AppendAllTextAsync(Path.Combine(newest, "model.safetensors"), "x", TestContext.Current.CancellationToken);
        Dsops.Kill(rank);
        var after = await dsops.UntilStage("cut", "pretrain", "trains in attempt 2", Minutes,
            s => (int)s["attempt"]! == 2 && (string?)s["state"] == "running" && s["ranks"]!.AsArray().Count > 0
                && (int)s["ranks"]![0]!["pid"]! > 0);
        int now = (int)after["ranks"]![0]!["pid"]!;
        Assert.NotEqual(rank, now);
        Assert.True(Dsops.IsAlive(now), "the rank that is named lives");
        string[] kinds = [.. (await dsops.Json("events", "cut")).AsArray().Select(e => (string)e!["kind"]!)];
        Assert.Contains("checkpoint-refused", kinds);
        Assert.Contains("goes-on-from", kinds);
        Assert.Equal(2, (int)(await dsops.Show("cut"))["stages"]![0]!["attempt"]!);
        Assert.Equal(0, (await dsops.Verb("cancel", "cut")).Code);
    }

    [Fact]
    public async Task Checkpoints_of_a_run_that_the_database_does_not_know_are_refused_at_submission_and_adopted_on_demand()
    {
        await using var dsops = await Dsops.Start();
        string pipeline = TinyPipeline.File(dsops.DataDirectory, TinyPipeline.Pretraining("lost", 60));
        Assert.Equal(0, (await dsops.Verb("submit", pipeline)).Code);
        await dsops.UntilRun("lost", "completed", Minutes);
        string checkpoints = Path.Combine(dsops.DataDirectory, "checkpoints");
        await using var other = await Dsops.Start();
        Directory.CreateDirectory(Path.Combine(other.DataDirectory, "checkpoints"));
        Directory.Move(Path.Combine(checkpoints, "lost"), Path.Combine(other.DataDirectory, "checkpoints", "lost"));
        string there = Path.Combine(other.DataDirectory, "checkpoints", "lost", "pretrain");
        string[] before = [.. Directory.EnumerateDirectories(there).Order(StringComparer.Ordinal)];

        var (code, _, error) = await other.Verb("submit", pipeline);
        Assert.NotEqual(0, code);
        Assert.Contains("a run named lost that this database does not know", error, StringComparison.Ordinal);
        Assert.Contains("--adopt", error, StringComparison.Ordinal);
        Assert.Equal(before, Directory.EnumerateDirectories(there).Order(StringComparer.Ordinal));

        Assert.Equal(0, (await other.Verb("submit", pipeline, "--adopt")).Code);
        var run = await other.UntilRun("lost", "completed", Minutes);
        Assert.Equal(before, Directory.EnumerateDirectories(there).Order(StringComparer.Ordinal));
        Assert.Equal(60, (long)run["stages"]![0]!["step"]!);
    }
}
