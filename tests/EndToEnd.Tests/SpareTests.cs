using System.Globalization;
using System.Text.Json.Nodes;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>A gang of two of three nodes loses all processes of one: the third takes its place, and the other's go on.</summary>
public sealed class SpareTests
{
    /// <summary>More than the test ever makes: it ends the runs itself.</summary>
    private const int Steps = 5_000;

    [Fact]
    public async Task A_spare_takes_a_lost_nodes_ranks_the_others_keep_their_processes_and_every_loss_is_the_same()
    {
        await using var dsops = await Dsops.Start("--nodes", "3", "--ranks-per-node", "1");
        await dsops.Submit(Replicated("shaken"));
        var whole = await dsops.AtStep("shaken", 12, ranks: 2);
        string[] nodes = [.. Nodes(whole)];
        string spare = new[] { "node-0", "node-1", "node-2" }.Except(nodes).Single();
        // Rank 0's, which nothing may depend on.
        string lost = nodes[0];
        var (agent, rank) = PidsOn(lost, whole);
        Dsops.Kill(agent);
        Dsops.Kill(rank);
        await dsops.UntilStage("shaken", "pretrain", "has the spare", Eventually.Patience, s => Nodes(s).Contains(spare));
        var after = await dsops.AtStep("shaken", (long)whole["step"]! + 8, ranks: 2);
        Assert.Equal([spare, nodes[1]], Nodes(after));
        // The same process of the same agent: nothing of what is left was started anew.
        Assert.Equal(PidsOn(nodes[1], whole), PidsOn(nodes[1], after));
        Assert.Equal((int)whole["attempt"]! + 1, (int)after["attempt"]!);
        string[] told = [.. (await dsops.Json("events", "shaken")).AsArray().Select(e => $"{e!["kind"]}: {e["text"]}")];
        Assert.Contains(told, t => t.StartsWith($"joined: {spare} joined gang 1, whose other nodes keep their processes",
            StringComparison.Ordinal));
        string place = $"{spare} takes the place of {lost}, the others keep their processes";
        Assert.Contains(told, t => t.Contains(place, StringComparison.Ordinal));
        Assert.Single(told, t => t.StartsWith("placed: ", StringComparison.Ordinal));
        string recovered = Assert.Single(told, t => t.StartsWith("recovered", StringComparison.Ordinal));
        TestContext.Current.TestOutputHelper?.WriteLine(recovered);
        // Though one of them had nothing: the other replica has given it.
        Assert.EndsWith(", which its ranks had kept in memory", recovered, StringComparison.Ordinal);

        long last = (long)after["step"]!;
        await dsops.Did("cancel", "shaken");
        await dsops.UntilRun("shaken", "cancelled", Eventually.Patience);
        await dsops.Submit(Replicated("calm"));
        await dsops.AtStep("calm", last, ranks: 2);
        await dsops.Did("cancel", "calm");
        await dsops.UntilRun("calm", "cancelled", Eventually.Patience);
        var (was, now) = (await BlipDrill.LossesInOrder(dsops, "calm"), await BlipDrill.LossesInOrder(dsops, "shaken"));
        Assert.Contains(now, l => l.Step == last);
        // What was made again is told again: each is the undisturbed run's to the last bit.
        foreach (var (step, loss) in now.Where(l => l.Step <= last))
        {
            Assert.Equal(was.First(w => w.Step == step).Loss, loss);
        }
    }

    /// <summary>No checkpoint on the way: what no memory has would be begun anew.</summary>
    private static string Replicated(string name) => TinyPipeline.Pretraining(name, Steps, everySteps: 1000)
        .Replace("keep: 3}", "keep: 3, inMemoryEvery: 1}", StringComparison.Ordinal)
        .Replace("nodes: 1, ranksPerNode: 1", "nodes: 2, ranksPerNode: 1", StringComparison.Ordinal);

    private static IEnumerable<string> Nodes(JsonNode stage) =>
        stage["ranks"]!.AsArray().OrderBy(r => (int)r!["rank"]!).Select(r => (string)r!["node"]!);

    private static (int Agent, int Rank) PidsOn(string node, JsonNode stage) =>
        stage["ranks"]!.AsArray().Single(r => (string)r!["node"]! == node) is var rank ? ((int)rank!["agentPid"]!, (int)rank["pid"]!)
            : default;
}
