using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Planning;

namespace DeepSeekOps.Benchmarks;

/// <summary>How long `dsops plan` reckons, and how that grows with the cluster.</summary>
internal static class PlannerBenchmark
{
    /// <summary>The Planner page reckons anew while a slider moves: a tenth of a second is felt as at once.</summary>
    private const double LimitMilliseconds = 100;

    public static Task Run()
    {
        Table.Title("planner: deepseek-v3.yaml reckoned, p50 of 200");
        string file = Path.Combine(Checkout.Root, "deploy", "examples", "deepseek-v3.yaml");
        var pipeline = PipelineText.Parse(File.ReadAllText(file), Path.GetDirectoryName(file)).Spec!;
        foreach (int nodes in new[] { 64, 256, 1024, 4096 })
        {
            var scaled = pipeline with { Resources = pipeline.Resources with { Nodes = nodes } };
            var times = Table.Times(50, 200, () => PipelineForecast.Of(scaled));
            Table.AtMost(Table.Say($"on {nodes} nodes"), times.Percentile(0.5), LimitMilliseconds);
        }

        return Task.CompletedTask;
    }
}
