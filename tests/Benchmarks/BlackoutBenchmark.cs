using System.Globalization;
using DeepSeekOps.ControlPlane.Tests.Storage;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// The control plane dead, hung, or parted from all or some of 256 agents of eight ranks, and its database down, a minute each: no rank may
/// notice, and no step may be lost.
/// </summary>
internal static class BlackoutBenchmark
{
    /// <summary>A call that waits for its end (5 s), an agent's longest pause (2 s), and 3 s for all of them at once.</summary>
    private static readonly TimeSpan HeardWithin = TimeSpan.FromSeconds(10);

    /// <summary>Ours: as long as what a rank does counts as known.</summary>
    private const int StepsAfter = 10;

    /// <param name="args">--kind killed|hung|parted|database|all, --seconds S, --agents N, --seed N.</param>
    public static async Task Run(string[] args)
    {
        string named = LoadBenchmark.Text(args, "--kind", "all");
        BlackoutKind[] kinds = named switch
        {
            "killed" => [BlackoutKind.Killed],
            "hung" => [BlackoutKind.Hung],
            "parted" => [BlackoutKind.Parted, BlackoutKind.PartlyParted],
            "database" => [BlackoutKind.Database],
            "all" => Enum.GetValues<BlackoutKind>(),
            _ => throw new ArgumentException($"--kind is '{named}'; write killed, hung, parted, database or all."),
        };
        int Number(string name, string otherwise) => int.Parse(LoadBenchmark.Text(args, name, otherwise), CultureInfo.InvariantCulture);
        var away = TimeSpan.FromSeconds(Number("--seconds", "60"));
        int agents = Number("--agents", "256"), seed = Number("--seed", "1");
        Table.Title(Table.Say($"blackout: {agents} agents of 8 ranks at 1 Hz, {away.TotalSeconds:0} s each, seed {seed}"));
        await Strike([.. kinds.Where(k => k != BlackoutKind.Database)], agents, away, seed, null);
        if (kinds.Contains(BlackoutKind.Database))
        {
            await using var server = await PostgresServer.Begin(CancellationToken.None)
                ?? throw new InvalidOperationException(PostgresServer.Missing);
            await Strike([BlackoutKind.Database], agents, away, seed, server);
        }
    }

    private static async Task Strike(BlackoutKind[] kinds, int agents, TimeSpan away, int seed, PostgresServer? server)
    {
        if (kinds.Length == 0)
        {
            return;
        }

        string[] on = server is null ? [] : ["--database", await server.CreateDatabase(CancellationToken.None)];
        await using var load = await LoadRun.Begin(new Calls(), agents, on);
        foreach (var kind in kinds)
        {
            Print(kind, await Blackout.Strike(load, kind, away, seed, StepsAfter, server));
        }
    }

    private static void Print(BlackoutKind kind, BlackoutResult result)
    {
        Table.Line(kind switch
        {
            BlackoutKind.Killed => "control plane: killed and started again",
            BlackoutKind.Hung => "control plane: stopped and continued",
            BlackoutKind.Parted => "network: all agents parted from it",
            BlackoutKind.PartlyParted => "network: a third of the agents parted from it",
            _ => "PostgreSQL: crashed and started again",
        }, "");
        Table.None("stand-ins ended; orders to stop, restart, roll back", result.Ended.Count);
        foreach (string ended in result.Ended.Take(3))
        {
            Table.Line("", ended);
        }

        Table.None("agents launched again, attempts beside the first", result.Launches + result.Attempts);
        Print(result.Lost);
        if (result.Returned > TimeSpan.Zero)
        {
            Table.Line("its start", Table.Say($"{result.Returned.TotalSeconds:0.0} s"));
        }

        Table.None("agents not heard again", result.Unheard);
        double[] heard = [.. result.Heard.Select(h => h.TotalSeconds)];
        if (heard.Length > 0)
        {
            Table.Hold("heard again and decided for, p50 / most", Table.Say($"{heard.Percentile(0.5):0.0} / {heard[^1]:0.0} s"),
                heard[^1] <= HeardWithin.TotalSeconds, Table.Say($"at most {HeardWithin.TotalSeconds:0} s"));
        }

        Table.Hold("who asked was told", result.Waits ? "that it waits" : "nothing of it", result.Waits, result.Words);
    }

    public static void Print(LostReports lost)
    {
        Table.None("steps that the ledger has not exactly once", lost.Steps.Count);
        Table.None("checkpoints that it has not", lost.Checkpoints.Count);
        Table.None("lines of ranks that it has not, of eight nodes", (int)lost.Lines);
    }
}
