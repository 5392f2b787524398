using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

public sealed class StageChartTests
{
    private const int Lives = 1200;

    [Fact]
    public void The_chart_has_exactly_the_transitions_that_stages_make()
    {
        var made = new SortedSet<string>(StringComparer.Ordinal);
        Happening[][] common = [[Happening.Tick, Happening.Beat], [Happening.Tick, Happening.Beat, Happening.Tick, Happening.Crash]];
        var all = Enum.GetValues<Happening>();
        for (int seed = 0; seed < Lives; seed++)
        {
            // Fixed seeds: the same lives each time, so that a transition cannot be missed by luck.
            var random = new Random(seed);
            var world = new StageWorld();
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

        Assert.Equal(string.Join("\n", StateChart.Edges("Stage")), string.Join("\n", made));
    }
}
