using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Nodes;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>Who dies while the control plane is away.</summary>
internal enum Victim
{
    Rank,
    Agent,
    Both,
}

/// <summary>What an outage cost.</summary>
/// <param name="TrainedAgain">Steps that were trained again although a durable checkpoint kept them.</param>
/// <param name="Lost">Checkpoints that lay there at the stroke or when the control plane came back, and are gone or were made anew.</param>
/// <param name="Weights">SHA-256 of the final weights.</param>
/// <param name="Losses">By step; only the ones that count.</param>
internal sealed record OutageResult(long TrainedAgain, int Lost, string Weights, IReadOnlyDictionary<long, string> Losses, string Told);

/// <summary>
/// The control plane is killed for a while, and a rank, its agent or both die in the middle of it. Every checkpoint is kept, so that what
/// lies on the disk at the end tells what was trained when, by whom, and whether again.
/// </summary>
internal static class OutageDrill
{
    private const int Every = 10;

    /// <summary>Never reached: the drill looks at all of them.</summary>
    private const int KeepAll = 100_000;

    private static readonly TimeSpan Within = TimeSpan.FromMinutes(10);

    public static string Pipeline(string name, int steps) => TinyPipeline.Pretraining(name, steps, Every, keep: KeepAll);

    /// <summary>The same pipeline with nobody in its way.</summary>
    public static async Task<OutageResult> Undisturbed(Dsops dsops, string name, int steps)
    {
        await dsops.Submit(Pipeline(name, steps));
        await dsops.UntilRun(name, "completed", Within);
        return new OutageResult(0, 0, Weights(dsops, name, steps), await Losses(dsops, name), "");
    }

    /// <param name="away">How long there is no control plane.</param>
    public static async Task<OutageResult> Run(Dsops dsops, string name, int steps, int seed, Victim victim, TimeSpan away)
    {
        var random = new Random(seed);
        await dsops.Submit(Pipeline(name, steps));
        long begin = random.Next(12, 40);
        var stage = await dsops.UntilStage(name, "pretrain", $"is at step {begin.ToString(CultureInfo.InvariantCulture)}", Within,
            s => (long)s["step"]! >= begin && s["checkpointStep"] is not null && s["ranks"]!.AsArray().Count > 0
                && (int)s["ranks"]![0]!["pid"]! > 0);
        int rank = (int)stage["ranks"]![0]!["pid"]!;
        int agent = dsops.LiveAgents().Single();
        await dsops.KillControlPlane();
        var watch = Stopwatch.StartNew();
        long known = OnDisk(dsops, name).Keys.DefaultIfEmpty(0).Max();
        var strike = away * (0.3 + (0.4 * random.NextDouble()));
        // What nobody is told of is what matters: at least two checkpoints beyond the ones that were known.
        await Eventually.Is("two checkpoints are made that nobody is told of", Within,
            () => Task.FromResult(watch.Elapsed >= strike && OnDisk(dsops, name).Keys.DefaultIfEmpty(0).Max() >= known + (2 * Every)));
        // What the agent launches by itself has the attempt of what died: that it began too early shows in a checkpoint made anew.
        var struck = OnDisk(dsops, name);
        if (victim is Victim.Agent or Victim.Both)
        {
            Dsops.Kill(agent);
        }

        if (victim is Victim.Rank or Victim.Both)
        {
            Dsops.Kill(rank);
        }

        await Eventually.Is("the control plane was away for as long as it should", Within, () => Task.FromResult(watch.Elapsed >= away));
        var before = OnDisk(dsops, name);
        await dsops.StartDev();
        await dsops.UntilRun(name, "completed", Within);
        var after = OnDisk(dsops, name);
        int lost = struck.Union(before).Where(c => !after.TryGetValue(c.Key, out var now) || now != c.Value)
            .DistinctBy(c => c.Key).Count();
        var events = (await dsops.Json("events", name)).AsArray();
        return new OutageResult(TrainedAgain(events, before, after), lost, Weights(dsops, name, steps), await Losses(dsops, name),
            string.Join('\n', events.Select(e => (string)e!["text"]!)));
    }

    /// <summary>By each launch's first new step, as the timeline tells it, against what its predecessors had made durable.</summary>
    private static long TrainedAgain(JsonArray events, params IReadOnlyDictionary<long, Kept>[] disks)
    {
        var durable = disks.SelectMany(d => d).Select(c => (Step: c.Key, c.Value.Attempt)).Distinct().ToList();
        return events.Where(e => (string?)e!["kind"] == "recovered").Sum(e =>
        {
            int attempt = (int)e!["attempt"]!;
            long kept = durable.Where(d => d.Attempt < attempt).Select(d => d.Step).DefaultIfEmpty(0).Max();
            return Math.Max(0, kept - ((long)e["step"]! - 1));
        });
    }

    private static Dictionary<long, Kept> OnDisk(Dsops dsops, string run)
    {
        var kept = new Dictionary<long, Kept>();
        foreach (string folder in Directory.EnumerateDirectories(FolderOf(dsops, run), "step-*"))
        {
            string manifest = Path.Combine(folder, "manifest.json");
            int attempt = (int)JsonNode.Parse(File.ReadAllText(manifest))!["attempt"]!;
            kept.Add(long.Parse(Path.GetFileName(folder)["step-".Length..], CultureInfo.InvariantCulture),
                new Kept(attempt, File.GetLastWriteTimeUtc(manifest)));
        }

        return kept;
    }

    private static string Weights(Dsops dsops, string run, int steps)
    {
        using var file = File.OpenRead(Path.Combine(FolderOf(dsops, run), $"step-{steps:D8}", "model.safetensors"));
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    /// <summary>Of the launches that count, as the export has them, to the last digit.</summary>
    public static async Task<IReadOnlyDictionary<long, string>> Losses(Dsops dsops, string run)
    {
        using var http = new HttpClient { BaseAddress = new Uri(dsops.Http) };
        http.DefaultRequestHeaders.Authorization = new("Bearer", dsops.Token);
        string csv = await http.GetStringAsync($"series/export.csv?run={run}&stage=pretrain&names=loss");
        return csv.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(line => line.Split(',')).Where(c => c[1] == "0")
            .ToDictionary(c => long.Parse(c[2], CultureInfo.InvariantCulture), c => c[5]);
    }

    private static string FolderOf(Dsops dsops, string run) => Path.Combine(dsops.DataDirectory, "checkpoints", run, "pretrain");

    private sealed record Kept(int Attempt, DateTime WrittenAt);
}
