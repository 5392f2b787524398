using System.Diagnostics;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Simulation;

namespace DeepSeekOps.Benchmarks;

/// <summary>How fast `dsops simulate` plays, and how that grows with the cluster.</summary>
internal static class SimulatorBenchmark
{
    private const double LimitSeconds = 60;
    private const double NodeDays = 1024;

    public static Task Run()
    {
        Table.Title("simulator: deepseek-v3.yaml with the llama3 faults, seed 1");
        string file = Path.Combine(Checkout.Root, "deploy", "examples", "deepseek-v3.yaml");
        var pipeline = PipelineText.Parse(File.ReadAllText(file), Path.GetDirectoryName(file)).Spec!;
        // As many node-days each, and so about as many faults: what grows is the work for each.
        double before = 0;
        foreach (int nodes in new[] { 64, 256, 1024, 4096 })
        {
            var scaled = pipeline with
            {
                Resources = pipeline.Resources with { Nodes = nodes },
                Stages = [.. pipeline.Stages.Select(s => s with { Resources = null })],
            };
            var (report, seconds) =
                Played(SimulatedPipeline.For(scaled, null, null, FaultMix.Llama3, 1, TimeSpan.FromDays(NodeDays / nodes)).Of!);
            Table.Line(Table.Say($"{NodeDays} node-days on {nodes} nodes, {report.Causes.Sum(c => c.Faults)} faults"),
                Table.Say($"{seconds:0.0} s, {report.Events / seconds:#,0} events/s"),
                before > 0 ? Table.Say($"{seconds / before:0.0} x the time for 4 x the nodes") : "");
            before = seconds;
        }

        var (whole, took) = Played(SimulatedPipeline.For(pipeline, null, null, FaultMix.Llama3, 1, SimulatedPipeline.NoLimit).Of!);
        Table.AtMost(Table.Say($"the whole run of {whole.WallClockSeconds / 86_400:0.0} days on 256 nodes"), took * 1000,
            LimitSeconds * 1000);
        Table.Line("times as fast as life", Table.Say($"{whole.WallClockSeconds / took:#,0}"));
        return Task.CompletedTask;
    }

    private static (SimulationReport Report, double Seconds) Played(SimulatedPipeline what)
    {
        long begun = Stopwatch.GetTimestamp();
        var report = what.Run();
        return (report, Stopwatch.GetElapsedTime(begun).TotalSeconds);
    }
}
