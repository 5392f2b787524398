using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using DeepSeekOps.EndToEnd.Tests;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// kill -9 of one rank of four, again and again, of mini-gang.yaml's pretraining on two nodes of two ranks: which rank, after how many
/// steps and how far into a step the seed says. How long until the gang makes a step again, seen from outside; where the time went, and
/// how many steps were made again, by the timeline's account; and whether the weights at the end are those of a run left in peace.
/// </summary>
internal static partial class GangRestartBenchmark
{
    private const double MedianSeconds = 1.0;
    private const double MostSeconds = 2.0;

    /// <summary>Of a kill: two to five until the next one, and what is made while it is noticed.</summary>
    private const int StepsPerKill = 6;

    private const int TokensPerStep = 1024;

    private static readonly TimeSpan Within = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Whole = TimeSpan.FromMinutes(30);

    /// <param name="args">--kills N, --seed N.</param>
    public static async Task Run(string[] args)
    {
        int kills = Option(args, "--kills", 20);
        var random = new Random(Option(args, "--seed", 1));
        Table.Title(Table.Say($"gang-restart: kill -9 of one rank of four of mini-gang.yaml's pretraining, {kills} times"));
        await using var dsops = await Dsops.Start("--nodes", "2", "--ranks-per-node", "2");
        string text = await File.ReadAllTextAsync(Path.Combine(Checkout.Root, "deploy", "examples", "mini-gang.yaml"));
        text = text[..text.IndexOf("\n  - name: extend", StringComparison.Ordinal)]
            .Replace("tokens: 600Ki", Table.Say($"tokens: {((kills * StepsPerKill) + 60) * TokensPerStep}"), StringComparison.Ordinal);
        await dsops.Submit(text.Replace("name: mini-gang\n", "name: calm\n", StringComparison.Ordinal));
        await dsops.UntilRun("calm", "completed", Whole);
        await dsops.Submit(text.Replace("name: mini-gang\n", "name: restart\n", StringComparison.Ordinal));
        using var http = new HttpClient { BaseAddress = new Uri(dsops.Http) };
        http.DefaultRequestHeaders.Authorization = new("Bearer", dsops.Token);
        var kept = new List<Struck>();
        long at = 5;
        for (int kill = 1; kill <= kills; kill++)
        {
            kept.Add(await Kill(dsops, http, kill, at, random));
            at = kept[^1].Step + random.Next(2, 6);
        }

        await dsops.UntilRun("restart", "completed", Whole);
        Tell(kept);
        var (calm, shaken) = (Files(dsops, "calm"), Files(dsops, "restart"));
        Table.Hold("files of weights and moments at the end", Table.Say($"{calm.Intersect(shaken).Count()} of {calm.Length} bit-equal"),
            calm.SequenceEqual(shaken), "to an undisturbed run's");
    }

    private static async Task<Struck> Kill(Dsops dsops, HttpClient http, int kill, long at, Random random)
    {
        var stage = await Eventually.Get(
            Table.Say($"step {at} in attempt {kill}"), Within, () => RestartBenchmark.Seen(http, kill, at), () => dsops.Output);
        var ranks = stage["ranks"]!.AsArray();
        int rank = random.Next(ranks.Count);
        // A step takes some 0.2 s.
        var into = TimeSpan.FromMilliseconds(random.Next(0, 300));
        int pid = (int)ranks.Single(r => (int)r!["rank"]! == rank)!["pid"]!;
        await Task.Delay(into);
        var watch = Stopwatch.StartNew();
        Dsops.Kill(pid);
        string told = await Eventually.Get("the recovery", Within, () => RestartBenchmark.Recovered(http, kill + 1), () => dsops.Output);
        double seconds = watch.Elapsed.TotalSeconds;
        long first = long.Parse(FirstNewStep().Match(told).Groups[1].Value, CultureInfo.InvariantCulture);
        int again = told.Contains("no step is done again", StringComparison.Ordinal) ? 0
            : int.Parse(StepsAgain().Match(told).Groups[1].Value, CultureInfo.InvariantCulture);
        var made = new Struck(seconds, first, again, told);
        Table.Line(Table.Say($"kill {kill}: rank {rank}, {into.TotalMilliseconds:0} ms after step {(long)stage["step"]!}"),
            Table.Say($"{made.Seconds:0.00} s"), told);
        return made;
    }

    private static void Tell(List<Struck> kills)
    {
        foreach (string part in RestartBenchmark.Parts)
        {
            double[] of = [.. kills.Select(k => RestartBenchmark.Seconds(k.Told, part)).Order()];
            Table.Line(part, Table.Say($"p50 {of.Percentile(0.5):0.00} s, p95 {of.Percentile(0.95):0.00} s"));
        }

        double[] walls = [.. kills.Select(k => k.Seconds).Order()];
        double[] begins = [.. kills.Select(k => k.Seconds - RestartBenchmark.Seconds(k.Told, "first step")).Order()];
        Table.Line("until the first new step is told",
            Table.Say($"p50 {walls.Percentile(0.5):0.00} s, p95 {walls.Percentile(0.95):0.00} s"),
            Table.Say($"{walls[0]:0.00} to {walls[^1]:0.00} s; torchrun 1.13: 10 to 18 s"));
        Table.AtMost("until the first new step begins, p50", begins.Percentile(0.5) * 1000, MedianSeconds * 1000);
        Table.AtMost("until the first new step begins, p95", begins.Percentile(0.95) * 1000, MostSeconds * 1000);
        Table.Line("made again", string.Join(", ", kills.GroupBy(k => k.Again).OrderBy(g => g.Key)
            .Select(g => Table.Say($"{g.Key} steps {g.Count()} times"))));
        Table.Hold("steps made again, most", Table.Say($"{kills.Max(k => k.Again)}"), kills.Max(k => k.Again) <= 1, "1 at most");
    }

    private static int Option(string[] args, string name, int otherwise) =>
        Array.IndexOf(args, name) is var at and >= 0 && at + 1 < args.Length
        ? int.Parse(args[at + 1], NumberStyles.None, CultureInfo.InvariantCulture) : otherwise;

    /// <summary>SHA-256 of each file of tensors in the last checkpoint, as its manifest has it.</summary>
    private static string[] Files(Dsops dsops, string run) =>
    [
        .. JsonNode.Parse(File.ReadAllText(Path.Combine(
            Directory.GetDirectories(Path.Combine(dsops.DataDirectory, "checkpoints", run, "pretrain"), "step-*").Order().Last(),
            "manifest.json")))!["files"]!.AsArray()
            .Where(f => ((string)f!["name"]!).EndsWith(".safetensors", StringComparison.Ordinal))
            .Select(f => $"{f!["name"]} {f["sha256"]}"),
    ];

    private sealed record Struck(double Seconds, long Step, int Again, string Told);

    [GeneratedRegex(@"first new step (\d+) after")]
    private static partial Regex FirstNewStep();

    [GeneratedRegex(@"; (\d+) steps? (?:is|are) done again")]
    private static partial Regex StepsAgain();
}
