using System.Globalization;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Client;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>Two nodes of two ranks train together, as processes that talk over sockets, and one of them is killed.</summary>
public sealed class GangTests
{
    private const int Steps = 40;

    [Fact]
    public async Task A_gang_that_loses_a_rank_and_whose_other_stands_ends_with_the_weights_of_one_undisturbed()
    {
        await using var dsops = await Dsops.Start("--nodes", "2", "--ranks-per-node", "2");
        await dsops.Submit(TinyPipeline.Gang("calm", Steps));
        var calm = await dsops.UntilRun("calm", "completed", Eventually.Patience);

        await dsops.Submit(TinyPipeline.Gang("shaken", Steps));
        var refused = await dsops.Verb("drill", "shaken", "--fault", "kill-rank");
        Assert.Equal(ExitCode.Failed, refused.Code);
        Assert.Contains("`dsops dev --drills`", refused.Error, StringComparison.Ordinal);
        var training = await At(dsops, "pretrain", attempt: 1, step: 12);
        Assert.Equal([0, 1, 2, 3], training["ranks"]!.AsArray().Select(r => (int)r!["rank"]!).Order());
        Assert.Equal(2, training["ranks"]!.AsArray().Select(r => (string)r!["node"]!).Distinct().Count());
        // Rank 0 is no special one; the next time it is another. The others stay as processes.
        Dsops.Kill(PidOf(training, 0));
        var again = await At(dsops, "pretrain", attempt: 2, step: 22);
        Assert.Equal(Enumerable.Range(1, 3).Select(r => PidOf(training, r)), Enumerable.Range(1, 3).Select(r => PidOf(again, r)));
        Dsops.Freeze(PidOf(again, 3));
        var shaken = await dsops.UntilRun("shaken", "completed", Eventually.Patience);

        Assert.Equal(3, (int)shaken["stages"]![0]!["attempt"]!);
        Assert.Equal(Losses(calm), Losses(shaken));
        string[] told = [.. (await dsops.Json("events", "shaken")).AsArray().Select(e => (string)e!["text"]!)];
        Assert.Contains(told, t => t.StartsWith("rank 0 on node-0 was ended by signal 9", StringComparison.Ordinal));
        Assert.Contains(told, t => t.StartsWith("rank 3 on node-1 made no progress", StringComparison.Ordinal)
            && t.Contains("stopped, by SIGSTOP", StringComparison.Ordinal));
        // Neither cost more than the step after the last that all had made.
        int cheap = told.Count(t => t.Contains("which its ranks had kept in memory", StringComparison.Ordinal)
            && (t.Contains("; no step is done again", StringComparison.Ordinal)
                || t.Contains("; 1 step is done again", StringComparison.Ordinal)));
        Assert.True(cheap == 2, string.Join('\n', told));
        Assert.Equal(Files(dsops, "calm"), Files(dsops, "shaken"));
        Assert.Equal(0, await dsops.Stop());
        Assert.Empty(dsops.LiveAgents());
    }

    private static Task<JsonNode> At(Dsops dsops, string stage, int attempt, long step) =>
        dsops.UntilStage("shaken", stage, $"is at step {step.ToString(CultureInfo.InvariantCulture)}", Eventually.Patience,
            s => (int)s["attempt"]! == attempt && (long)s["step"]! >= step && s["ranks"]!.AsArray().Count == 4
                && s["ranks"]!.AsArray().All(r => (string)r!["state"]! == "training"));

    private static int PidOf(JsonNode stage, int rank) =>
        (int)stage["ranks"]!.AsArray().Single(r => (int)r!["rank"]! == rank)!["pid"]!;

    private static double[] Losses(JsonNode run) => [.. run["stages"]!.AsArray().Select(s => (double)s!["loss"]!)];

    /// <summary>SHA-256 of each file of tensors in the last checkpoint of each stage, as its manifest has it.</summary>
    private static string[] Files(Dsops dsops, string run) =>
    [
        .. Directory.GetDirectories(Path.Combine(dsops.DataDirectory, "checkpoints", run)).Order()
            .Select(stage => Directory.GetDirectories(stage, "step-*").Order().Last())
            .SelectMany(folder => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "manifest.json")))!["files"]!.AsArray())
            .Where(f => ((string)f!["name"]!).EndsWith(".safetensors", StringComparison.Ordinal))
            .Select(f => $"{f!["name"]} {f["sha256"]}"),
    ];
}
