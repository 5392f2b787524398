using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using DeepSeekOps.EndToEnd.Tests;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// kill -9 of a rank of a run that trains the miniature V3, again and again: how long until it makes a step that it had not made
/// in that attempt, seen from outside, and where the time went by the timeline's account. Alone, or one of a gang of two nodes of two
/// ranks, each of them in turn.
/// </summary>
internal static partial class RestartBenchmark
{
    private const double LimitSeconds = 5;

    private static readonly TimeSpan Minutes = TimeSpan.FromMinutes(3);

    internal static readonly string[] Parts = ["noticed", "restart", "load", "first step"];

    public static Task Run() => Run("mini", kills: 10);

    private static async Task Run(string example, int kills, params string[] arguments)
    {
        Table.Title(Table.Say($"restart: kill -9 of a rank of {example}.yaml's pretraining, {kills} times"));
        await using var dsops = await Dsops.Start(arguments);
        string pipeline = Path.Combine(dsops.DataDirectory, "restart.yaml");
        string text = await File.ReadAllTextAsync(Path.Combine(Checkout.Root, "deploy", "examples", $"{example}.yaml"));
        // Long enough for all the kills, whatever the machine; the name says that it is not the miniature run.
        await File.WriteAllTextAsync(pipeline, PretrainingTokens().Replace(
            text.Replace($"name: {example}\n", "name: restart\n", StringComparison.Ordinal), "tokens: 6Mi", 1));
        var (code, _, error) = await dsops.Verb("submit", pipeline);
        if (code != 0)
        {
            throw new InvalidOperationException(error);
        }

        using var http = new HttpClient { BaseAddress = new Uri(dsops.Http) };
        http.DefaultRequestHeaders.Authorization = new("Bearer", dsops.Token);
        var walls = new List<double>();
        var parts = Parts.ToDictionary(p => p, _ => new List<double>());
        for (int kill = 1; kill <= kills; kill++)
        {
            int attempt = kill;
            // At another place between two checkpoints each time, and never before the first.
            long at = 22 + (kill * 27);
            var stage =
                await Eventually.Get(Table.Say($"step {at} in attempt {attempt}"), Minutes, () => Seen(http, attempt, at),
                    () => dsops.Output);
            var ranks = stage["ranks"]!.AsArray();
            int rank = (int)ranks[kill % ranks.Count]!["pid"]!;
            var watch = Stopwatch.StartNew();
            Dsops.Kill(rank);
            string told = await Eventually.Get("the recovery", Minutes, () => Recovered(http, attempt + 1), () => dsops.Output);
            double wall = watch.Elapsed.TotalSeconds;
            walls.Add(wall);
            foreach (string part in Parts)
            {
                parts[part].Add(Seconds(told, part));
            }

            Table.Line(Table.Say($"kill {kill}"), Table.Say($"{wall:0.00} s"), told);
        }

        double[] sorted = [.. walls.Order()];
        foreach (string part in Parts)
        {
            double[] of = [.. parts[part].Order()];
            Table.Line(part, Table.Say($"median {of.Percentile(0.5):0.00} s, most {of[^1]:0.00} s"));
        }

        Table.Line("rank killed to first new step, all", Table.Say($"least {sorted[0]:0.00} s, most {sorted[^1]:0.00} s"),
            "torchrun 1.13: 10 to 18 s");
        Table.Line("rank killed to first new step", Table.Say($"95 of 100 within {sorted.Percentile(0.95):0.00} s"));
        Table.AtMost("rank killed to first new step, median", sorted.Percentile(0.5) * 1000, LimitSeconds * 1000);
    }

    internal static async Task<JsonNode?> Seen(HttpClient http, int attempt, long step)
    {
        var run = JsonNode.Parse(await http.GetStringAsync("v1/runs/restart"));
        var stage = run?["stages"]?[0];
        return (int?)stage?["attempt"] == attempt && (long?)stage["step"] >= step
            && stage["ranks"]?.AsArray() is { Count: > 0 } ranks && ranks.All(r => (string?)r?["state"] == "training") ? stage : null;
    }

    internal static async Task<string?> Recovered(HttpClient http, int attempt)
    {
        // A hundred kills tell more than one page of events.
        string after = "0";
        while (true)
        {
            var reply = JsonNode.Parse(await http.GetStringAsync($"v1/runs/restart/events?after={after}"));
            var events = reply?["events"]?.AsArray() ?? [];
            if (events.FirstOrDefault(e => (string?)e?["kind"] == "recovered" && (int?)e["attempt"] == attempt) is { } recovered)
            {
                return (string?)recovered["text"];
            }
            if ((bool?)reply?["more"] != true || events.Count == 0)
            {
                return null;
            }
            after = (string?)events[^1]?["number"] ?? throw new FormatException("An event has no number.");
        }
    }

    /// <summary>The timeline's own figure: "(noticed 100 ms, restart 1.4 s, load 200 ms, first step 300 ms)".</summary>
    internal static double Seconds(string told, string part)
    {
        foreach (Match match in Part().Matches(told))
        {
            if (match.Groups["name"].Value == part)
            {
                double figure = double.Parse(match.Groups["figure"].Value, CultureInfo.InvariantCulture);
                return match.Groups["unit"].Value == "ms" ? figure / 1000 : figure;
            }
        }

        throw new FormatException($"The event does not tell how long '{part}' took: {told}");
    }

    [GeneratedRegex(@"(?<=[(,] ?)(?<name>noticed|restart|load|first step) (?<figure>[\d.]+) (?<unit>ms|s)")]
    private static partial Regex Part();

    // Milestones are shares of it and move along.
    [GeneratedRegex(@"tokens: \S+")]
    private static partial Regex PretrainingTokens();
}
