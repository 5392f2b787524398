using System.Globalization;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Simulation;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>How long a simulated run stood after faults, and what a recovery in place is reckoned from.</summary>
internal static class RecoveryText
{
    private static readonly Column[] Phases =
        [new("IN PLACE", 1), new("SECONDS", 1, Right: true), new("FROM", 2, Flexible: true)];

    public static void Write(SimulationReport report, Terminal terminal)
    {
        if (report.MeanRecoverySeconds is { } mean)
        {
            Say(terminal, In($"from a fault to the next step: {mean / 60:0.0} min in the mean"));
        }

        if (report.InMemory is { } fast)
        {
            Say(terminal, $"{Decisions.Words.Count(fast.Count, "recovery", "recoveries")} in place, from memory: "
                + In($"median {fast.Median:0.0} s, 95 % within {fast.Of95:0.0} s; the step that was under way is done again"));
        }

        if (report.FromCheckpoint is { } slow)
        {
            Say(terminal, $"{Decisions.Words.Count(slow.Count, "recovery", "recoveries")} from a checkpoint: "
                + In($"median {slow.Median:0} s, 95 % within {slow.Of95:0} s"));
        }

        if (report is { InMemory: not null, Budget: { } budget })
        {
            terminal.Output.WriteLine();
            Columns.Write(terminal, Phases,
            [
                .. budget.Phases.Select(p => new[] { p.Name, Between(p.From, p.To), p.Source }),
                ["to the first new step", Between(budget.From, budget.To),
                    In($"{RecoveryBudget.WantedSeconds:0} wanted; TrainMover, 1,024 GPUs: about {RecoveryBudget.TrainMoverSeconds:0}")],
            ]);
        }
    }

    private static string Between(double from, double to) => from == to ? In($"{from:0.0}") : In($"{from:0.0}-{to:0.0}");

    private static void Say(Terminal terminal, string text)
    {
        foreach (string line in Columns.Wrap(text, terminal.Width))
        {
            terminal.Output.WriteLine(line);
        }
    }

    private static string In(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
