using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>
/// A run that was disturbed beside one that was not. Neither is trained to its end: what a disturbance changes shows in the steps right
/// after it, and a run without end cannot be over before the test has done to it what it wanted, however fast the machine is.
/// </summary>
internal static class SideBySide
{
    private const int Every = 10;

    private static readonly TimeSpan Patience = Eventually.Patience;

    public static string Pipeline(string name) => TinyPipeline.Pretraining(name, TinyPipeline.WithoutEnd, Every);

    /// <summary>
    /// Ends <paramref name="disturbed"/> once it has a checkpoint of step <paramref name="beyond"/> or later, trains another run as far,
    /// and holds the one against the other: each loss to the last digit, and the weights.
    /// </summary>
    public static async Task Same(Dsops dsops, string disturbed, long beyond)
    {
        long last = await SameWeights(dsops, disturbed, beyond);
        var (calm, shaken) = (await OutageDrill.Losses(dsops, "calm"), await OutageDrill.Losses(dsops, disturbed));
        var steps = Enumerable.Range(1, (int)last).Select(step => (long)step).ToList();
        Assert.All(steps, step => Assert.NotNull(calm.GetValueOrDefault(step)));
        Assert.Equal(steps.Select(step => (step, calm[step])), steps.Select(step => (step, shaken.GetValueOrDefault(step, "none"))));
    }

    /// <summary>The same of the weights alone.</summary>
    /// <returns>The step whose weights were compared.</returns>
    public static async Task<long> SameWeights(Dsops dsops, string disturbed, long beyond)
    {
        await Durable(dsops, disturbed, beyond);
        await Cancel(dsops, disturbed);
        // What was saved because it was cancelled is at a step where nobody else saves.
        long last = StepsOnDisk(dsops, disturbed).Where(step => step % Every == 0).Max();
        await dsops.Submit(TinyPipeline.Pretraining("calm", TinyPipeline.WithoutEnd, Every, keep: 1_000));
        await Durable(dsops, "calm", last);
        await Cancel(dsops, "calm");
        Assert.Equal(Weights(dsops, "calm", last), Weights(dsops, disturbed, last));
        return last;
    }

    private static Task<JsonNode> Durable(Dsops dsops, string run, long step) =>
        dsops.UntilStage(run, "pretrain", $"has a checkpoint of step {step.ToString(CultureInfo.InvariantCulture)}", Patience,
            s => (long?)s["checkpointStep"] >= step);

    private static async Task Cancel(Dsops dsops, string run)
    {
        var (code, _, error) = await dsops.Verb("cancel", run);
        Assert.True(code == 0, error);
        await Eventually.Is($"{run} is cancelled", Patience, async () => (string?)(await dsops.Show(run))["state"] == "cancelled");
    }

    private static IEnumerable<long> StepsOnDisk(Dsops dsops, string run) =>
        Directory.EnumerateDirectories(FolderOf(dsops, run), "step-*").Where(f => File.Exists(Path.Combine(f, "manifest.json")))
            .Select(f => long.Parse(Path.GetFileName(f)["step-".Length..], CultureInfo.InvariantCulture));

    private static string Weights(Dsops dsops, string run, long step)
    {
        using var file = File.OpenRead(Path.Combine(FolderOf(dsops, run),
            string.Create(CultureInfo.InvariantCulture, $"step-{step:D8}"), "model.safetensors"));
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    private static string FolderOf(Dsops dsops, string run) => Path.Combine(dsops.DataDirectory, "checkpoints", run, "pretrain");
}
