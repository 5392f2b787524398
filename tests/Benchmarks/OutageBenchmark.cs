using System.Globalization;
using DeepSeekOps.EndToEnd.Tests;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// The control plane is killed for a minute, and a rank, its agent or both die in the middle of it, at moments that the seed chooses: what
/// was trained again although it was durable, what was deleted, and whether losses and final weights are those of a run left in peace.
/// </summary>
internal static class OutageBenchmark
{
    /// <summary>Of the tiny model on two busy cores; enough that training outlasts the outage.</summary>
    private const int StepsPerSecond = 40;

    private const int StepsLeast = 300;

    /// <param name="args">--seeds N, from 1; --first N, the first of them; --away SECONDS; --steps N, that training has to outlast.</param>
    public static async Task Run(string[] args)
    {
        int seeds = Option(args, "--seeds", 20);
        int first = Option(args, "--first", 1);
        var away = TimeSpan.FromSeconds(Option(args, "--away", 60));
        int steps = Option(args, "--steps", Math.Max(StepsLeast, (int)away.TotalSeconds * StepsPerSecond));
        Table.Title(
            Table.Say($"outage: no control plane for {away.TotalSeconds:0} s, {steps} steps, a checkpoint every 10, {seeds} seeds"));
        await using var dsops = await Dsops.Start();
        var calm = await OutageDrill.Undisturbed(dsops, "calm", steps);
        int held = 0;
        for (int seed = first; seed < first + seeds; seed++)
        {
            var victim = (Victim)(seed % 3);
            var struck = await OutageDrill.Run(dsops, Table.Say($"struck-{seed}"), steps, seed, victim, away);
            int differ = struck.Losses.Count(l => calm.Losses.TryGetValue(l.Key, out string? loss) && loss != l.Value);
            bool holds = struck is { TrainedAgain: 0, Lost: 0 } && struck.Weights == calm.Weights && differ == 0
                && struck.Losses.Count == calm.Losses.Count;
            held += holds ? 1 : 0;
            Table.Hold(
                Table.Say($"seed {seed}: {victim}"), Table.Say($"{struck.TrainedAgain} steps again, {struck.Lost} checkpoints lost"), holds,
                Table.Say($"weights {(struck.Weights == calm.Weights ? "identical" : "differ")}, losses: {differ} differ, ")
                    + Table.Say($"{calm.Losses.Count - struck.Losses.Count} not told"));
        }

        Table.Hold("seeds that lost nothing", Table.Say($"{held} of {seeds}"), held == seeds, "all of them");
    }

    private static int Option(string[] args, string name, int otherwise) =>
        Array.IndexOf(args, name) is var at and >= 0 && at + 1 < args.Length
        ? int.Parse(args[at + 1], NumberStyles.None, CultureInfo.InvariantCulture) : otherwise;
}
