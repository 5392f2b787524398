using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using DeepSeekOps.EndToEnd.Tests;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// `chaos --seed S --minutes M`: faults without end, drawn from the seed, on three nodes of two ranks, of which a gang takes two; one
/// pipeline after the other, each held against the same one undisturbed. A fault may meet the recovery from the one before.
/// </summary>
internal static class ChaosBenchmark
{
    /// <summary>Of pretraining: some minutes with its faults on two cores.</summary>
    private const int Steps = 200;

    /// <summary>Seconds after which the next fault may come, recovered or not.</summary>
    private static readonly int[] Waits = [1, 8, 60];

    /// <summary>Those after which a run goes on as if nothing had been; `spike` is left out, which nothing undoes.</summary>
    private static readonly string[] Faults =
        ["kill-rank", "kill-agent", "kill-node", "hang", "corrupt-checkpoint", "lose-contact", "slow", "kill-control-plane"];

    /// <summary>Of every second pipeline: the batch that broke the numbers is left out, so that they are others from there on.</summary>
    private static readonly string[] WithNan = [.. Faults, "nan"];

    /// <summary>What a run says of itself where its numbers are others than those of an undisturbed one.</summary>
    private static readonly string[] OtherNumbers = ["shrunk", "left out"];

    private static readonly string[] Stages = ["pretrain", "sft"];

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(20);

    public static async Task Run(string[] args)
    {
        int seed = int.Parse(Option(args, "--seed", "1"), CultureInfo.InvariantCulture);
        double minutes = double.Parse(Option(args, "--minutes", "30"), CultureInfo.InvariantCulture);
        Table.Title(Table.Say($"chaos: seed {seed}, {minutes:0.#} minutes, three nodes of two ranks"));
        await using var dsops = await Dsops.Start("--drills", "--nodes", "3", "--ranks-per-node", "2");
        try
        {
            await dsops.Submit(Pipeline("calm"));
            await dsops.UntilRun("calm", "completed", Patience);
            var calm = await End(dsops, "calm");
            var random = new Random(seed);
            var clock = Stopwatch.StartNew();
            var ends = new List<RunEnd>();
            while (clock.Elapsed.TotalMinutes < minutes)
            {
                string name = Table.Say($"chaos-{ends.Count + 1}");
                await dsops.Submit(Pipeline(name));
                ends.Add(await Disturb(dsops, name, ends.Count % 2 == 0 ? Faults : WithNan, random, calm));
            }

            Sum(ends, calm);
        }
        finally
        {
            DrillsBenchmark.EndRestarted(dsops);
        }
    }

    private static string Pipeline(string name) => TinyPipeline.Gang(name, Steps).Replace("\nstages:",
        "\nrecovery: {breakForgottenAfter: 1, maxRestarts: 1000}\nstages:", StringComparison.Ordinal);

    private static async Task<RunEnd> Disturb(Dsops dsops, string name, string[] faults, Random random, RunEnd calm)
    {
        var struck = new Dictionary<string, int>(StringComparer.Ordinal);
        string state = "";
        var patience = Stopwatch.StartNew();
        while (patience.Elapsed < Patience)
        {
            string fault = faults[random.Next(faults.Length)];
            var (_, output, error) = await dsops.Verb("drill", name, "--fault", fault, "--seed",
                random.Next(1_000_000).ToString(CultureInfo.InvariantCulture), "--within",
                Waits[random.Next(Waits.Length)].ToString(CultureInfo.InvariantCulture), "--json");
            if (output.Length > 0)
            {
                struck[fault] = struck.GetValueOrDefault(fault) + 1;
                string card = Card(JsonNode.Parse(output)!);
                Console.WriteLine(Table.Say($"  {name} {patience.Elapsed.TotalSeconds,5:0} s  {fault,-18} {card}"));
            }
            else if (!error.Contains("Wait ", StringComparison.Ordinal) && !error.Contains("Try again", StringComparison.Ordinal))
            {
                Console.WriteLine($"  {name} {fault}: {error.ReplaceLineEndings(" ")}");
            }

            var seen = await Eventually.Get($"{name} is told of", Patience, async () => await Asked(dsops, name), () => dsops.Output);
            state = (string?)seen["state"] ?? "";
            if (state is "completed" or "failed" or "cancelled" or "needs-person")
            {
                break;
            }
        }

        var end = await End(dsops, name) with { Struck = struck.Values.Sum() };
        bool same = end.Weights == calm.Weights;
        string said = $"{state}, weights {(same ? "as undisturbed" : "others")}; {end.Struck} faults, other numbers by {end.Others}";
        Console.WriteLine(Table.Say($"  {name} {patience.Elapsed.TotalSeconds,5:0} s  {said}"));
        return end;
    }

    private static async Task<JsonNode?> Asked(Dsops dsops, string name)
    {
        // A control plane that a drill has started again answers somewhere else, and not at once.
        dsops.FindAgain();
        try
        {
            return await dsops.Show(name);
        }
        catch (Exception e) when (e is HttpRequestException or InvalidOperationException or IOException)
        {
            return null;
        }
    }

    private static string Card(JsonNode card) => (bool?)card["verified"] == true ? $"verified, grade {(int)card["grade"]!}"
        : $"under way: {card["state"]}";

    /// <summary>How a run ended: its weights, its last losses, whether its ledger adds up.</summary>
    private static async Task<RunEnd> End(Dsops dsops, string name)
    {
        var run = await dsops.Show(name);
        var events = (await dsops.Json("events", name)).AsArray();
        string[] told = [.. events.Select(e => $"{e!["kind"]}: {e["text"]}")];
        bool completed = (string?)run["state"] == "completed";
        var losses = new Dictionary<string, double[]>(StringComparer.Ordinal);
        foreach (string stage in Stages)
        {
            losses[stage] = completed ? await LastLosses(dsops, name, stage) : [];
        }

        var (entered, held) = Booked((await dsops.Json("cost", name))["cost"]!);
        return new RunEnd(name, completed, completed ? Weights(dsops, name) : "", losses,
            string.Join(", ", OtherNumbers.Where(o => told.Any(t => t.Contains(o, StringComparison.Ordinal))).DefaultIfEmpty("nothing")),
            Math.Abs(entered - held) < 1e-3, held);
    }

    private static (double Entered, double Held) Booked(JsonNode cost) =>
        (cost["buckets"]!.AsArray().Sum(b => Seconds(b!["gpuTimeSeconds"])), Seconds(cost["gpuTimeSeconds"]));

    private static double Seconds(JsonNode? time) => time is null ? 0 : (double)time;

    private static async Task<double[]> LastLosses(Dsops dsops, string run, string stage)
    {
        using var http = new HttpClient { BaseAddress = new Uri(dsops.Http) };
        http.DefaultRequestHeaders.Authorization = new("Bearer", dsops.Token);
        string csv = await http.GetStringAsync($"series/export.csv?run={run}&stage={stage}&names=loss");
        return [.. csv.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(line => line.Split(','))
            .Where(c => c[1] == "0").OrderBy(c => long.Parse(c[2], CultureInfo.InvariantCulture))
            .Select(c => double.Parse(c[5], CultureInfo.InvariantCulture)).TakeLast(20)];
    }

    /// <summary>Of the pipeline's end: the last checkpoint of its last stage.</summary>
    private static string Weights(Dsops dsops, string run)
    {
        string newest = Directory.EnumerateDirectories(Path.Combine(dsops.DataDirectory, "checkpoints", run, Stages[^1]), "step-*")
            .Where(f => File.Exists(Path.Combine(f, "manifest.json"))).Max(StringComparer.Ordinal)!;
        return string.Join(' ', Directory.EnumerateFiles(newest, "model*.safetensors").Order(StringComparer.Ordinal)
            .Select(f => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(f)))));
    }

    private static void Sum(List<RunEnd> ends, RunEnd calm)
    {
        Console.WriteLine();
        Table.Line("pipelines, faults", Table.Say($"{ends.Count}, {ends.Sum(e => e.Struck)}"));
        Table.None("not completed", ends.Count(e => !e.Completed));
        var exact = ends.Where(e => e.Completed && e.Others == "nothing").ToList();
        Table.Hold("weights of the undisturbed run, where nothing shrank or was left out",
            Table.Say($"{exact.Count(e => e.Weights == calm.Weights)} of {exact.Count}"), exact.All(e => e.Weights == calm.Weights), "all");
        var others = ends.Where(e => e.Completed && e.Others != "nothing").ToList();
        Table.Hold("last losses within their interval, of the others",
            Table.Say($"{others.Count(e => Within(e, calm))} of {others.Count}"), others.All(e => Within(e, calm)), "all");
        Table.None("ledgers that do not add up", ends.Count(e => !e.AddsUp));
    }

    /// <summary>Means of the last twenty losses of each stage lie within three standard errors of their difference.</summary>
    private static bool Within(RunEnd end, RunEnd calm) => Stages.All(stage =>
    {
        var (a, b) = (end.Losses[stage], calm.Losses[stage]);
        return a.Length > 1 && b.Length > 1 && Math.Abs(a.Average() - b.Average()) <= 3 * Math.Sqrt(Error(a) + Error(b));
    });

    private static double Error(double[] values) =>
        values.Sum(v => Math.Pow(v - values.Average(), 2)) / (values.Length - 1) / values.Length;

    private static string Option(string[] args, string name, string otherwise) =>
        Array.IndexOf(args, name) is var at and >= 0 && at + 1 < args.Length ? args[at + 1] : otherwise;

    /// <param name="Others">What makes its numbers others than those of an undisturbed run.</param>
    private sealed record RunEnd(
        string Name, bool Completed, string Weights, Dictionary<string, double[]> Losses, string Others, bool AddsUp, double Held)
    {
        public int Struck { get; init; }
    }
}
