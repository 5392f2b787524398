using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Recipes.Pipelining;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Pipelining;

/// <summary>The pictures of docs/parallelism.md are drawn from the schedules.</summary>
public sealed class ScheduleDrawingTests
{
    private static readonly ChunkSeconds Units = new(1, 1, 1, 2);

    [Theory]
    [InlineData(PipelineSchedule.OneForwardOneBackward, 4)]
    [InlineData(PipelineSchedule.ZeroBubble, 4)]
    [InlineData(PipelineSchedule.DualPipe, 4)]
    [InlineData(PipelineSchedule.DualPipeV, 2)]
    public void The_picture_of_a_schedule_is_what_its_ranks_do(PipelineSchedule schedule, int ranks)
    {
        string[] page = File.ReadAllLines(Path.Combine(StateChart.Root(), "docs", "parallelism.md"));
        int title = Array.FindIndex(page, line => line.Split(',')[0] == schedule.Name());
        Assert.True(title > 0, $"docs/parallelism.md has no picture of {schedule.Name()}");
        var step = StepSimulation.Of(schedule, ranks, 8, Units);
        for (int rank = 0; rank < ranks; rank++)
        {
            Assert.StartsWith($"rank {rank} |{Drawn(step, rank)}|", page[title + 1 + rank], StringComparison.Ordinal);
        }
    }

    private static string Drawn(StepSimulation step, int rank)
    {
        char[] line = new string('.', (int)step.Seconds).ToCharArray();
        foreach (var task in step.Tasks[rank])
        {
            char sign = task.Tasks.Length == 2 ? 'x' : task.Tasks[0].Work switch
            {
                PipelineWork.Forward => 'F',
                PipelineWork.Backward => 'B',
                PipelineWork.BackwardInputs => 'i',
                _ => 'w',
            };
            Array.Fill(line, sign, (int)task.Begins, (int)(task.Ends - task.Begins));
        }

        return new string(line);
    }
}
