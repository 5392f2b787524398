using System.Globalization;
using System.Text.Json.Nodes;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>A gang of two nodes loses one for good and no other is there: it trains on alone, and takes it again when it is back.</summary>
public sealed class ShrinkTests
{
    /// <summary>Another layout adds in another order (docs/parallelism.md).</summary>
    private const double OtherLayout = 1e-4;

    /// <summary>More than the test ever makes: it ends the runs itself, so that a fast machine does not end them before.</summary>
    private const int Steps = 5_000;

    [Fact]
    public async Task A_gang_whose_node_is_gone_goes_on_with_the_other_and_grows_back_with_the_losses_of_one_undisturbed()
    {
        await using var dsops = await Dsops.Start("--nodes", "2", "--ranks-per-node", "1");
        await dsops.Submit(Replicated("shaken"));
        var whole = await dsops.AtStep("shaken", 12, ranks: 2);
        // Whoever takes a node out may not have it back as soon as its agent has died.
        await dsops.Did("cluster", "cordon", "node-1");
        Dsops.Kill((int)whole["ranks"]!.AsArray().Single(r => (string)r!["node"]! == "node-1")!["agentPid"]!);
        var shrunk = await dsops.UntilStage("shaken", "pretrain", "trains on one node", Eventually.Patience, s => Reason(s)
            .Contains("on 1 of 2 nodes, 1 of 2 replicas since ", StringComparison.Ordinal) && (string)s["state"]! == "running");
        Assert.Contains("(50 % of its rate, by its ranks); full again when 1 sound node is free", Reason(shrunk), StringComparison.Ordinal);
        Assert.Equal(["node-0"], shrunk["ranks"]!.AsArray().Select(r => (string)r!["node"]!));
        // The same process of the same agent: nothing of what is left was started anew.
        Assert.Equal(PidsOn("node-0", whole), PidsOn("node-0", shrunk));
        long fewer = (long)(await dsops.AtStep("shaken", (long)shrunk["step"]! + 5, ranks: 1))["step"]!;

        await dsops.Did("cluster", "uncordon", "node-1");
        long last = (long)(await dsops.AtStep("shaken", fewer + 5, ranks: 2))["step"]!;
        string[] told = [.. (await dsops.Json("events", "shaken")).AsArray().Select(e => $"{e!["kind"]}: {e["text"]}")];
        string[] kinds = ["shrunk: goes on with 1 of 2 nodes", "growing: grows back to 2 nodes", "grown-back: trains on all 2 nodes"];
        foreach (string kind in kinds)
        {
            Assert.True(told.Any(t => t.StartsWith(kind, StringComparison.Ordinal)), $"not told: {kind}\n{string.Join('\n', told)}");
        }

        await dsops.Did("cancel", "shaken");
        await dsops.UntilRun("shaken", "cancelled", Eventually.Patience);
        await dsops.Submit(Replicated("calm"));
        await dsops.AtStep("calm", last, ranks: 2);
        await dsops.Did("cancel", "calm");
        await dsops.UntilRun("calm", "cancelled", Eventually.Patience);
        var (was, now) = (await BlipDrill.LossesInOrder(dsops, "calm"), await BlipDrill.LossesInOrder(dsops, "shaken"));
        // What was made again is told again: each counts.
        double apart = now.Where(l => l.Step <= last).Max(l => was.Where(w => w.Step == l.Step).Max(w => Math.Abs(w.Loss - l.Loss)));
        TestContext.Current.TestOutputHelper?.WriteLine($"{now.Count} losses up to step {last}, {apart:G3} apart at most");
        Assert.InRange(apart, 0, OtherLayout);
        Assert.Contains(now, l => l.Step > fewer);
    }

    private static string Replicated(string name) => TinyPipeline.Pretraining(name, Steps, everySteps: 5)
        .Replace("nodes: 1, ranksPerNode: 1", "nodes: 2, ranksPerNode: 1", StringComparison.Ordinal)
        .Replace("checkpoints:", "recovery: {growAfter: 1s}\ncheckpoints:", StringComparison.Ordinal);

    private static (int Agent, int Rank) PidsOn(string node, JsonNode stage) =>
        stage["ranks"]!.AsArray().Single(r => (string)r!["node"]! == node) is var rank ? ((int)rank!["agentPid"]!, (int)rank["pid"]!)
            : default;

    private static string Reason(JsonNode stage) => (string)stage["reason"]!;
}
