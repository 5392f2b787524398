using System.Globalization;
using System.Text.Json.Nodes;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>A pipeline whose first stage begins with weights that lie in a folder.</summary>
public sealed class BeginningModelTests(Shared shared)
{
    private static readonly TimeSpan Minutes = Eventually.Patience;

    private const string Sft = "{name: sft, kind: sft, instances: 640, sequenceLength: 64, batchSize: 8, learningRate: 1e-3}";

    [Fact]
    public async Task Fine_tuning_from_a_checkpoint_of_another_run_is_what_the_stage_after_it_is()
    {
        await using var dsops = await Dsops.Start();
        await dsops.Submit($"{TinyPipeline.Pretraining("whole", 20)}\n  - {Sft}");
        double whole = Loss(await dsops.UntilRun("whole", "completed", Minutes), stage: 1);
        var final = (await dsops.Json("checkpoints", "whole", "--stage", "pretrain")).AsArray()
            .Single(c => (string?)c!["state"] == "final")!;
        string folder = Path.Combine(dsops.DataDirectory, "checkpoints", (string)final["path"]!);

        string tuned = $$$"""
            apiVersion: deepseekops/v1
            name: tuned
            team: tests
            seed: 1
            model: {from: {{{folder}}}}
            data: {source: "builtin:arithmetic", heldout: 20}
            resources: {device: cpu, threads: 1}
            checkpoints: {everySteps: 10}
            stages:
              - {{{Sft}}}
            """;
        await dsops.Submit(tuned);
        var stage =
            await dsops.UntilStage("tuned", "sft", "is at step 12", Minutes,
                s => (long)s["step"]! >= 12 && s["ranks"]!.AsArray().Count > 0);
        Dsops.Kill((int)stage["ranks"]![0]!["pid"]!);
        var run = await dsops.UntilRun("tuned", "completed", Minutes);
        Assert.Equal(whole, Loss(run, stage: 0));
        Assert.Equal(2, (int)run["stages"]![0]!["attempt"]!);

        string digest = (string)final["digest"]!;
        Assert.Equal($"{folder} (sha256 {digest[..12]})", (string?)run["stages"]![0]!["beganFrom"]);
        var own = (await dsops.Json("checkpoints", "tuned")).AsArray();
        Assert.All(own, c => Assert.Contains(digest[..12], (string)c!["lineage"]!, StringComparison.Ordinal));
        string made = Path.Combine(dsops.DataDirectory, "checkpoints", (string)own[own.Count - 1]!["path"]!, "manifest.json");
        var from = JsonNode.Parse(await File.ReadAllTextAsync(made, TestContext.Current.CancellationToken))!["beganFrom"]!;
        Assert.Equal((folder, digest, "whole", "pretrain"),
            ((string?)from["folder"], (string?)from["digest"], (string?)from["run"], (string?)from["stage"]));

        await ACloneAndARetryGoOnWithIt(dsops, whole, folder);
    }

    [Fact]
    public async Task A_folder_that_is_not_one_is_refused_with_line_field_and_remedy()
    {
        var dsops = await shared.Idle;
        string text = $"apiVersion: deepseekops/v1\nname: none\nmodel: {{from: nowhere}}\nstages:\n  - {Sft}\n";
        var (code, _, error) = await dsops.Verb("submit", TinyPipeline.File(dsops.DataDirectory, text));
        Assert.Equal(1, code);
        Assert.Contains(":3:15", error, StringComparison.Ordinal);
        Assert.Contains("model.from", error, StringComparison.Ordinal);
        Assert.Contains("There is no config.json in", error, StringComparison.Ordinal);
    }

    private static async Task ACloneAndARetryGoOnWithIt(Dsops dsops, double whole, string folder)
    {
        var (code, copy, error) = await dsops.Verb("clone", "tuned", "again", "--set", "checkpoints.everySteps=25");
        Assert.True(code == 0, error);
        Assert.Contains(folder, copy, StringComparison.Ordinal);
        await dsops.Submit(copy);
        Assert.Equal(whole, Loss(await dsops.UntilRun("again", "completed", Minutes), stage: 0));
        Assert.Equal(0, (await dsops.Verb("retry", "again", "--stage", "sft", "--checkpoint", "0")).Code);
        await dsops.UntilStage("again", "sft", "is done once more", Minutes,
            s => (string?)s["state"] == "completed" && (int)s["attempt"]! > 1);
        var again = await dsops.UntilRun("again", "completed", Minutes);
        Assert.Equal(whole, Loss(again, stage: 0));
        var (planned, plan, planError) = await Dsops.Run("plan", TinyPipeline.File(dsops.DataDirectory, copy));
        Assert.True(planned == 0, planError);
        Assert.Contains("sft", plan, StringComparison.Ordinal);
    }

    private static double Loss(JsonNode run, int stage) => (double)run["stages"]![stage]!["loss"]!;
}
