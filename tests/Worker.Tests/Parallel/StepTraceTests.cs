using System.Text.Json;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using Xunit;
using Span = DeepSeekOps.Recipes.Pipelining.Span;

namespace DeepSeekOps.Worker.Tests.Parallel;

[Collection(RandomNumbers.OneStream)]
public sealed class StepTraceTests
{
    private const long Second = 1_000_000_000;

    [Fact]
    public void A_bubble_is_the_time_between_the_gangs_first_task_and_its_last_that_a_rank_did_not_compute_in()
    {
        Span[] first = [Of("forward", 0, 2), Of("receive", 2, 4), Of("backward", 2, 8), Of("step", 0, 10)];
        Span[] second = [Of("receive", 1, 2), Of("forward", 1, 4), Of("backward", 4, 6), Of("collective", 8, 9), Of("step", 0, 9)];
        var step = Assert.Single(TracedStep.Of([first, second], PipelineSchedule.OneForwardOneBackward, pipeline: 2));
        Assert.Equal(10, step.Seconds, 1e-9);
        Assert.Equal([8 - (2 + 4), 8 - (2 + 2)], step.Bubbles.Select(b => Math.Round(b, 6)));
        Assert.Equal([0, 1], step.Collectives.Select(c => Math.Round(c, 6)));
        // (R - 1)(F + B), with F the mean of 2 and 2, and B that of 4 and 2.
        Assert.Equal(2 + 3, step.Formula, 1e-9);
    }

    /// <summary>DeepSeek-V3, arXiv 2412.19437, table 2, with F = 2, B = 4, W = 1.5 and eight ranks.</summary>
    [Theory]
    [InlineData(PipelineSchedule.OneForwardOneBackward, 7 * 6.0)]
    [InlineData(PipelineSchedule.ZeroBubble, 7 * 3.0)]
    [InlineData(PipelineSchedule.DualPipe, 3 * 5.5)]
    [InlineData(PipelineSchedule.DualPipeV, 7 * 5.5)]
    public void The_published_bubbles_are_those_of_the_table(PipelineSchedule schedule, double expected) =>
        Assert.Equal(expected, BubbleFormula.Of(schedule, ranks: 8, forward: 2, backward: 4, weights: 1.5), 1e-12);

    [Fact]
    public void A_traced_step_tells_passes_and_update_and_is_none_of_those_that_are_timed()
    {
        var work = new BenchWork
        {
            Model = "mini", Batch = 4, MicroBatch = 2, SequenceLength = 16, Steps = 2, TraceSteps = 2, Precision = Precision.Fp32,
            Threads = 1,
        };
        var shape = StepBenchmark.ShapeOf(work);
        var rank = new RankContext(0, new GangLayout(1, 1, 1, 1), torch.CPU, Threads: 1);
        var figures = new StepBenchmark(shape, rank, Mesh.Alone(), TimeProvider.System).Measure(work);
        Assert.Equal(2, figures.StepSeconds.Count);
        var byKind = figures.Spans.CountBy(s => s.Kind).ToDictionary();
        Assert.Equal((2, 4, 4, 2), (byKind["step"], byKind["forward"], byKind["backward"], byKind["update"]));
        Assert.All(figures.Spans, s => Assert.True(s.BeganNanoseconds <= s.EndedNanoseconds));
        Span[] spans = [.. figures.Spans.Select(s => new Span(s.Kind, s.Name, s.BeganNanoseconds, s.EndedNanoseconds))];
        var steps = TracedStep.Of([spans], rank.Layout.Schedule, rank.Layout.Pipeline);
        Assert.Equal(2, steps.Count);
        Assert.All(steps, s => Assert.Equal(0, s.Formula));
    }

    [Fact]
    public void A_trace_file_has_an_event_for_each_span_on_its_ranks_line_in_microseconds()
    {
        using var file = new MemoryStream();
        using (var json = new Utf8JsonWriter(file))
        {
            ChromeTrace.Write(json, [
                new TraceRow(0, 0, "node-1", "rank 0", [Of("step", 1, 3)]), new TraceRow(1, 1, "node-2", "rank 1", [Of("forward", 2, 3)]),
            ], [("clocks", "one")]);
        }
        var root = JsonDocument.Parse(file.ToArray()).RootElement;
        var events = root.GetProperty("traceEvents").EnumerateArray().ToList();
        Assert.Equal(["M", "M", "M", "X", "M", "X"], events.Select(e => e.GetProperty("ph").GetString()));
        Assert.Equal((1e6, 1e6, 1, 1), (events[5].GetProperty("ts").GetDouble(), events[5].GetProperty("dur").GetDouble(),
            events[5].GetProperty("tid").GetInt32(), events[5].GetProperty("pid").GetInt32()));
        Assert.Equal("node-2", events[1].GetProperty("args").GetProperty("name").GetString());
        Assert.Equal("rank 1", events[4].GetProperty("args").GetProperty("name").GetString());
        Assert.Equal("one", root.GetProperty("otherData").GetProperty("clocks").GetString());
    }

    private static Span Of(string kind, double began, double ended) => new(kind, "", (long)(began * Second), (long)(ended * Second));
}
