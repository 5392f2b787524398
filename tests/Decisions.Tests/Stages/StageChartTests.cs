using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

public sealed class StageChartTests
{
    /// <summary>
    /// Fewer hunt for a transition that the chart lacks, as each life of <see cref="StagePlannerProperties"/> does too; the rarest one of
    /// the chart may need all of them.
    /// </summary>
    private static readonly int LivesAtLeast = Lives.Of(200);
    private const int LivesAtMost = 1200;

    [Fact]
    public void The_chart_has_exactly_the_transitions_that_stages_make()
    {
        var (chart, made) = (StateChart.Edges("Stage").ToArray(), new SortedSet<string>(StringComparer.Ordinal));
        Happening[][] common = [[Happening.Tick, Happening.Beat], [Happening.Tick, Happening.Beat, Happening.Tick, Happening.Crash]];
        var all = Enum.GetValues<Happening>();
        for (int seed = 0; seed < LivesAtMost && (seed < LivesAtLeast || !made.IsSupersetOf(chart)); seed++)
        {
            // Fixed seeds: the same lives each time, so that a transition cannot be missed by luck.
            var random = new Random(seed);
            // In one life of three the stage is long, and its first steps check new nodes.
            var world = new StageWorld(checks: seed % 3 == 2);
            for (int i = 0; i < 120; i++)
            {
                string before = world.Stage.Phase.GetType().Name;
                var from = random.Next(4) == 0 ? all : common[seed % 2];
                world.Apply(from[random.Next(from.Length)]);
                string after = world.Stage.Phase.GetType().Name;
                if (before != after)
                {
                    made.Add($"{before} -> {after}");
                }
            }
        }

        Assert.Equal(string.Join("\n", chart), string.Join("\n", made));
    }
}
