using System.Globalization;
using DeepSeekOps.Decisions.Spikes;
using DeepSeekOps.Worker.Tests.Training.Loop;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// Provoked divergences of a minute model in act mode, `--seeds N` of them: a learning rate of thirty times that passes, and noise in a
/// window of the data. Each is held against the same seed's run that nothing happened to.
/// </summary>
internal static class SpikeDrillBenchmark
{
    private const double Within = 0.02;

    public static void Run(string[] args)
    {
        int at = Array.IndexOf(args, "--seeds");
        int seeds = at >= 0 && at + 1 < args.Length ? int.Parse(args[at + 1], CultureInfo.InvariantCulture) : 20;
        Table.Title($"spike-drill: {seeds} seeds, {SpikeDrill.Steps} steps, fault at step {SpikeDrill.FaultAt}, lossSpikes: {{mode: act}}");
        int healthyActs = 0;
        var ended = new Dictionary<SpikeFault, int> { [SpikeFault.Rate] = 0, [SpikeFault.Data] = 0 };
        for (int seed = 1; seed <= seeds; seed++)
        {
            var healthy = Drill(seed, SpikeFault.None);
            healthyActs += healthy.Stage.LossActs.Length;
            foreach (var fault in ended.Keys.ToList())
            {
                var run = Drill(seed, fault);
                double ratio = run.HeldOut / healthy.HeldOut;
                bool well = run.Stage.LossActs is [.., { Outcome: LossOutcome.Verified }] && Math.Abs(ratio - 1) <= Within;
                ended[fault] += well ? 1 : 0;
                string acts = string.Join(", ", run.Stage.LossActs.Select(a => $"{a.Move} {a.Outcome}"));
                Table.Line($"seed {seed}, {fault}", Table.Say($"held-out loss {ratio - 1:+0.00%;-0.00%;0} of the undisturbed, {acts}"));
            }
        }

        foreach (var (fault, well) in ended)
        {
            Table.Hold($"{fault}: flagged, acted on, within 2 %", Table.Say($"{well} of {seeds}"), well == seeds, "all");
        }

        Table.None("acts in as many healthy runs", healthyActs);
    }

    private static SpikeDrillResult Drill(long seed, SpikeFault fault)
    {
        var root = Directory.CreateTempSubdirectory("dsops-drill-");
        try
        {
            return new SpikeDrill(root.FullName, seed, fault).Run();
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }
}
