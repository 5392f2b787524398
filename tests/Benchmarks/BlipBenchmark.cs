using DeepSeekOps.EndToEnd.Tests;

namespace DeepSeekOps.Benchmarks;

/// <summary>Crashes of PostgreSQL in one run: what they cost of the loss curve and of the weights. Nothing is allowed.</summary>
internal static class BlipBenchmark
{
    private const int Stops = 10;
    private const int Steps = 3_000;

    public static async Task Run()
    {
        Table.Title(Table.Say($"blips: PostgreSQL stopped as by a crash and started again, {Stops} times in a run of {Steps} steps"));
        var result = await BlipDrill.Run(Steps, Stops, told => Table.Line(told, ""))
            ?? throw new InvalidOperationException("PostgreSQL is not installed.");
        Table.None("steps without a loss", result.Missing.Count);
        Table.None("steps with another loss than undisturbed", result.Others.Count);
        Table.None("weights that are others than undisturbed", result.SameWeights ? 0 : 1);
        Table.None("lines of log beyond 100 a stop", Math.Max(0, result.LogLines - (Stops * 100)));
    }
}
