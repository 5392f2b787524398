using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.EndToEnd.Tests;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// The list of drills on two nodes of two ranks, `--repeats N` seeds of each from `--seed S`, `--faults a,b` of them: what each was graded,
/// whether the recovery was verified, and where the time went. What was injected and what the incident says is the program's own card.
/// </summary>
internal static class DrillsBenchmark
{
    private const string All = "kill-rank,kill-agent,kill-node,hang,nan,corrupt-checkpoint,lose-contact,spike,slow,fill-disk,database-down,"
        + "kill-control-plane";

    private const double ExitsSeconds = 2;
    private const double SlowSeconds = 60;
    private const double GradeLeast = 95;

    private static readonly string[] Exits = ["kill-rank", "kill-agent", "kill-node"];

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(15);

    public static async Task Run(string[] args)
    {
        int repeats = int.Parse(Option(args, "--repeats", "20"), CultureInfo.InvariantCulture);
        int first = int.Parse(Option(args, "--seed", "1"), CultureInfo.InvariantCulture);
        string[] faults = Option(args, "--faults", All).Split(',');
        Table.Title(Table.Say($"drills: {repeats} seeds from {first}, two nodes of two ranks"));
        string? mounted = null;
        await using var dsops = await Dsops.StartOn(
            folder => mounted = faults.Contains("fill-disk") ? Mount(Path.Combine(folder, "checkpoints")) : null,
            "--drills", "--nodes", "2", "--ranks-per-node", "2");
        try
        {
            await Play(dsops, faults, first, repeats);
        }
        finally
        {
            EndRestarted(dsops);
            if (mounted is not null)
            {
                await dsops.Stop();
                Sh("umount", "-l", mounted);
            }
        }
    }

    private static async Task Play(Dsops dsops, string[] faults, int first, int repeats)
    {
        await dsops.Submit(TinyPipeline.Gang("drilled", TinyPipeline.WithoutEnd)
            // A rise is judged when two checkpoints have been made since.
            .Replace("keep: 3", "keep: 4", StringComparison.Ordinal).Replace("\nstages:",
            "\nrecovery: {breakForgottenAfter: 1, maxRestarts: 1000}\nlossSpikes: {mode: act, maxActs: 1000}\nstages:",
            StringComparison.Ordinal));
        var cards = new List<(string Fault, int Seed, JsonNode Card)>();
        foreach (string fault in faults)
        {
            for (int seed = first; seed < first + repeats; seed++)
            {
                cards.Add((fault, seed, await Drill(dsops, fault, seed)));
                Tell(cards[^1]);
            }
        }

        Sum(cards, faults);
    }

    /// <summary>A file system of its own for checkpoints: only root may, and without it `fill-disk` is refused in words.</summary>
    private static string? Mount(string folder)
    {
        Directory.CreateDirectory(folder);
        return Sh("mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", folder) ? folder : null;
    }

    /// <summary>A control plane that a drill has started again is nobody's child.</summary>
    internal static void EndRestarted(Dsops dsops)
    {
        if (ControlFile.Read(dsops.DataDirectory) is { } now && now.Pid != dsops.Pid && now.ProcessLives())
        {
            using var process = Process.GetProcessById(now.Pid);
            Sh("kill", "-INT", now.Pid.ToString(CultureInfo.InvariantCulture));
            process.WaitForExit();
        }
    }

    private static bool Sh(string program, params string[] arguments)
    {
        using var run = Process.Start(program, arguments);
        run.WaitForExit();
        return run.ExitCode == 0;
    }

    private static Task<JsonNode> Drill(Dsops dsops, string fault, int seed) =>
        Eventually.Get($"{fault} is injected", Patience, async () =>
        {
            // Below a verb's own patience: what is not over by then is a card that says so, and not an exception.
            var (code, output, error) = await dsops.Verb("drill", "drilled", "--fault", fault, "--seed",
                seed.ToString(CultureInfo.InvariantCulture), "--within", "280", "--json");
            return output.Length > 0 ? JsonNode.Parse(output)
                : error.Contains("Wait ", StringComparison.Ordinal) || error.Contains("Try again", StringComparison.Ordinal) || code == 4
                    ? null : throw new InvalidOperationException($"drill {fault} ended with {code}: {error}");
        }, () => dsops.Output);

    private static void Tell((string Fault, int Seed, JsonNode Card) one)
    {
        var card = one.Card;
        string verified = (bool)card["verified"]! ? "verified" : $"NOT verified ({card["state"]})";
        double named = Seconds(card["namedAfterSeconds"]);
        Console.WriteLine(Table.Say(
            $"  {one.Fault,-18} {one.Seed,3}  named {named,6:0.00} s  grade {(int)card["grade"]!,3}  {verified}"));
        if ((int)card["grade"]! < 100 || !(bool)card["verified"]!)
        {
            Console.WriteLine($"    {card["because"]}; {card["sentence"]}");
        }
    }

    private static void Sum(List<(string Fault, int Seed, JsonNode Card)> cards, string[] faults)
    {
        Console.WriteLine();
        Console.WriteLine("  fault              named p50    p95  again p50    p95  steps   mean  verified");
        foreach (string fault in faults)
        {
            JsonNode[] of = [.. cards.Where(c => c.Fault == fault).Select(c => c.Card)];
            double[] named = [.. of.Select(c => Seconds(c["namedAfterSeconds"])).Where(double.IsFinite).DefaultIfEmpty(0).Order()];
            double[] again = [.. of.Select(Phases).Order()];
            long lost = of.Max(c => (long?)c["stepsLost"] ?? 0);
            Console.WriteLine(Table.Say($"  {fault,-18} {named.Percentile(0.5),9:0.00} {named.Percentile(0.95),6:0.00} ")
                + Table.Say($"{again.Percentile(0.5),10:0.00} {again.Percentile(0.95),6:0.00} {lost,6} ")
                + Table.Say($"{of.Average(c => (int)c["grade"]!),6:0.0} {of.Count(c => (bool)c["verified"]!),5} of {of.Length}"));
        }

        foreach (var phase in cards.SelectMany(c => c.Card["phases"]!.AsArray()).GroupBy(p => (string)p!["name"]!))
        {
            double[] took = [.. phase.Select(p => Seconds(p!["tookSeconds"])).Order()];
            Console.WriteLine(Table.Say(
                $"  {phase.Key,-18} p50 {took.Percentile(0.5):0.00} s, p95 {took.Percentile(0.95):0.00} s, {took.Length} times"));
        }

        double[] exits = [.. cards.Where(c => Exits.Contains(c.Fault)).Select(c => Seconds(c.Card["namedAfterSeconds"]) * 1000).Order()];
        if (exits.Length > 0)
        {
            Table.AtMost("exits and lost agents: named, p95", exits.Percentile(0.95), ExitsSeconds * 1000);
        }

        double[] slow = [.. cards.Where(c => c.Fault == "slow").Select(c => Seconds(c.Card["namedAfterSeconds"]) * 1000).Order()];
        if (slow.Length > 0)
        {
            Table.AtMost("a rank slower by half: named, p95", slow.Percentile(0.95), SlowSeconds * 1000);
        }

        double mean = cards.Average(c => (int)c.Card["grade"]!);
        Table.Hold("mean grade", Table.Say($"{mean:0.0}"), mean >= GradeLeast, "95 at least");
        Table.None("grades of 0", cards.Count(c => (int)c.Card["grade"]! == 0));
        Table.None("not recovered, or not verified", cards.Count(c => !(bool)c.Card["verified"]!));
    }

    private static double Phases(JsonNode card) => card["phases"]!.AsArray().Sum(p => Seconds(p!["tookSeconds"]));

    private static double Seconds(JsonNode? node) => node is null ? double.NaN : (double)node;

    private static string Option(string[] args, string name, string otherwise) =>
        Array.IndexOf(args, name) is var at and >= 0 && at + 1 < args.Length ? args[at + 1] : otherwise;
}
