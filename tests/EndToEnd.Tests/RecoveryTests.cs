using System.Globalization;
using System.Text.Json.Nodes;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>What a person would kill to see whether it holds: a rank, an agent, the control plane, and all three.</summary>
public sealed class RecoveryTests
{
    /// <summary>Of the run that is trained to its end; it is stopped long before, at a step that beats tell of once a second.</summary>
    private const int Steps = 150;

    private static readonly TimeSpan Minutes = Eventually.Patience;

    [Fact]
    public async Task Whatever_is_killed_the_curve_and_the_weights_are_those_of_an_undisturbed_run()
    {
        await using var dsops = await Dsops.Start();
        await dsops.Submit(SideBySide.Pipeline("shaken"));
        await AtStep(dsops, "shaken", 25);
        Dsops.Kill(RankPid(await Stage(dsops, "shaken")));
        await Attempt(dsops, "shaken", 2, beyondStep: 30);

        int agent = dsops.LiveAgents().Single();
        string nodeBefore = Node(await Stage(dsops, "shaken"));
        Dsops.Kill(agent);
        var moved = await Attempt(dsops, "shaken", 3, beyondStep: 40);
        Assert.NotEqual(nodeBefore, Node(moved));

        int rank = RankPid(moved);
        await dsops.KillControlPlane();
        Assert.True(Dsops.IsAlive(rank), "the rank trains on while the control plane is away");
        await dsops.StartDev();
        var after =
            await dsops.UntilStage("shaken", "pretrain", "is seen again", Minutes,
                s => Step(s) > 50 && s["ranks"]!.AsArray().Count > 0 && RankPid(s) > 0);
        Assert.Equal(rank, RankPid(after));
        Assert.Equal(3, (int)after["attempt"]!);

        await Eventually.Is("two failures are closed", Minutes, async () => (await Diagnosed(dsops)) is { Count: > 0 } all
            && all.All(i => (string?)i["state"] == "closed") && all.Sum(i => i["failedAttempts"]!.AsArray().Count) == 2);
        await SideBySide.Same(dsops, "shaken", Step(after) + 20);
        await TheTimelineTellsIt(dsops);
        await TheIncidentsTellIt(dsops);
        Assert.Equal(0, await dsops.Stop());
        Assert.Empty(dsops.LiveAgents());
    }

    [Fact]
    public async Task Rank_agent_and_control_plane_may_die_at_once()
    {
        await using var dsops = await Dsops.Start();
        await dsops.Submit(SideBySide.Pipeline("struck"));
        var stage = await AtStep(dsops, "struck", 30);
        int rank = RankPid(stage);
        int agent = dsops.LiveAgents().Single();
        await dsops.KillControlPlane();
        Dsops.Kill(agent);
        Dsops.Kill(rank);
        await dsops.StartDev();
        await SideBySide.Same(dsops, "struck", Step(stage) + 30);
    }

    [Fact]
    public async Task After_ctrl_c_nothing_runs_and_the_next_start_goes_on()
    {
        await using var dsops = await Dsops.Start();
        await dsops.Submit(TinyPipeline.Pretraining("paused", Steps));
        int rank = RankPid(await AtStep(dsops, "paused", 25));
        Assert.Equal(0, await dsops.Stop());
        Assert.False(Dsops.IsAlive(rank));
        Assert.Empty(dsops.LiveAgents());
        await dsops.StartDev();
        var run = await dsops.UntilRun("paused", "completed", Minutes);
        Assert.Equal(2, (int)run["stages"]![0]!["attempt"]!);
        var checkpoints = (await dsops.Json("checkpoints", "paused")).AsArray();
        Assert.Contains(checkpoints, c => (string?)c!["state"] == "final" && (long)c["step"]! == Steps);
        string[] kinds = [.. (await dsops.Json("events", "paused")).AsArray().Select(e => (string)e!["kind"]!)];
        Assert.Contains("cluster-stopped", kinds);
        Assert.DoesNotContain("agent-lost", kinds);
    }

    private static async Task TheTimelineTellsIt(Dsops dsops)
    {
        string[] sentences = [.. (await dsops.Json("events", "shaken")).AsArray().Select(e => (string)e!["text"]!)];
        Assert.Contains(sentences, s => s.Contains("signal 9", StringComparison.Ordinal));
        Assert.Contains(sentences, s => s.Contains("agent", StringComparison.OrdinalIgnoreCase));
        Assert.True(sentences.Count(s => s.Contains("trains again", StringComparison.OrdinalIgnoreCase)) >= 2,
            string.Join('\n', sentences));
    }

    /// <summary>Each failure is an incident that was closed by its steps made again, with evidence from before the restart.</summary>
    private static async Task TheIncidentsTellIt(Dsops dsops)
    {
        var incidents = await Diagnosed(dsops);
        Assert.All(incidents, i => Assert.Equal(0, (double)i!["outcome"]!["largestDifference"]!));
        // One that is met before the last is verified is part of it.
        Assert.Equal([1, 2], incidents.SelectMany(i => i!["failedAttempts"]!.AsArray()).Select(a => (int)a!).Order());
        var why = await dsops.Json("why", "shaken", "--incident", incidents[^1]!["number"]!.ToString(), "--attempt", "1");
        var rank = why["evidence"]!["ranks"]![0]!;
        Assert.Equal(("first to fail", "was ended by signal 9 (SIGKILL)"), ((string)rank["role"]!, (string)rank["howItEnded"]!));
        Assert.NotEmpty(rank["lines"]!.AsArray());
    }

    private static async Task<List<JsonNode>> Diagnosed(Dsops dsops) =>
        [.. (await dsops.Json("incidents", "shaken")).AsArray().OfType<JsonNode>().Where(i => i["diagnosis"] is not null)];

    private static Task<JsonNode> AtStep(Dsops dsops, string run, long step) =>
        dsops.UntilStage(run, "pretrain", $"is at step {step.ToString(CultureInfo.InvariantCulture)}", Minutes, s => Step(s) >= step);

    private static Task<JsonNode> Attempt(Dsops dsops, string run, int attempt, long beyondStep) =>
        dsops.UntilStage(run, "pretrain", $"trains in attempt {attempt}", Minutes,
            s => (int)s["attempt"]! == attempt && (string?)s["state"] == "running" && Step(s) > beyondStep
                && s["ranks"]!.AsArray().Count > 0);

    private static async Task<JsonNode> Stage(Dsops dsops, string run) => (await dsops.Show(run))["stages"]![0]!;

    private static long Step(JsonNode stage) => (long)stage["step"]!;

    private static int RankPid(JsonNode stage) => (int)stage["ranks"]![0]!["pid"]!;

    private static string Node(JsonNode stage) => (string)stage["ranks"]![0]!["node"]!;
}
