using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Tracing;
using DeepSeekOps.Recipes.Pipelining;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Tracing;

/// <summary>What is made of what ranks recorded.</summary>
public sealed class StageTraceTests
{
    private const long Second = 1_000_000_000;
    private static readonly DateTimeOffset At = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(16, 4, 16)]
    [InlineData(2048, 16, 16)]
    [InlineData(2048, 1, 1)]
    [InlineData(2048, 64, 32)]
    public void Of_few_ranks_all_are_drawn_and_of_many_one_for_each_place_of_the_pipeline(int ranks, int pipeline, int drawn)
    {
        var layout = new ParallelLayout { Pipeline = pipeline };
        var order = TraceOrder.New(1, 1, 2, ranks, layout);
        Assert.Equal(drawn, order.Ranks.Distinct().Count());
        var places = order.Ranks.Select(r => TracePlace.Of(r, ranks, layout)).ToList();
        Assert.Equal(Math.Min(pipeline, drawn), places.Select(p => p.Pipeline).Distinct().Count());
        Assert.All(order.Ranks, r => Assert.InRange(r, 0, ranks - 1));
        // A file of 8 MB at most, whatever the gang; a tenth of it is 4,000 spans for each of DeepSeek-V3's places.
        Assert.InRange(order.SpansMax * (drawn + 1), 4_000, 80_000);
    }

    /// <summary>As the worker numbers them (GangLayout): neighbours share experts; pipelines are the outermost.</summary>
    [Fact]
    public void A_rank_has_its_place()
    {
        var layout = new ParallelLayout { Pipeline = 2, Expert = 2 };
        Assert.Equal([(0, 0, 0), (0, 1, 1), (0, 2, 0), (0, 3, 1), (1, 0, 0), (1, 1, 1), (1, 2, 0), (1, 3, 1)],
            Enumerable.Range(0, 8).Select(r => TracePlace.Of(r, 8, layout)).Select(p => (p.Pipeline, p.Data, p.Expert)));
        Assert.Equal(["pp 0, dp 0, ep 0, cp 0", "pp 0, dp 0, ep 1, cp 1", "pp 0, dp 1, ep 0, cp 0", "pp 0, dp 1, ep 1, cp 1"],
            Enumerable.Range(0, 4).Select(r => TracePlace.Of(r, 8, layout, context: 2).InWords));
    }

    [Fact]
    public void Clocks_of_two_machines_meet_at_the_ends_of_calls_of_all_ranks()
    {
        // The second machine's clock is 5 s behind; its ranks come back from the three calls 1, 2 and 9 ms later.
        RankTrace[] ranks =
        [
            Rank(0, "a", [10, 20, 30]), Rank(1, "a", [10.5, 20.5, 30.5]), Rank(2, "b", [5.001, 15.002, 25.009]),
        ];
        var clocks = ClockOffset.Of(ranks, rank => $"node-{rank / 2}");
        Assert.Equal(["node-0"], clocks[0].Nodes);
        Assert.Equal((0, 0), (clocks[0].Nanoseconds, clocks[0].ErrorNanoseconds));
        Assert.Equal(["node-1"], clocks[1].Nodes);
        Assert.Equal(4.998, clocks[1].Nanoseconds / 1e9, 1e-6);
        Assert.Equal(0.007, clocks[1].ErrorNanoseconds / 1e9, 1e-6);
    }

    [Fact]
    public void The_bubble_is_measured_by_one_clock_and_told_beside_the_formula()
    {
        var layout = new ParallelLayout { Pipeline = 2 };
        var order = TraceOrder.New(7, 3, 1, 2, layout);
        // Forward 1 s and backward 2 s each, by clocks 100 s apart: the second begins when the first has sent, and waits 1 s within.
        RankTrace[] ranks =
        [
            new(7, 3, 0, "a", [Step(0, 8, 0, 7, busy: 3, forward: 1, backward: 2, collectives: 1, waits: 4)], [0, 8 * Second])
            {
                Spans = new RankSpans(0, ["forward: 0"], [0], [0], [1_000_000], 0),
            },
            new(7, 3, 1, "b", [Step(100, 108, 101, 105, busy: 3, forward: 1, backward: 2, collectives: 0, waits: 1)],
                [100 * Second, 108 * Second])
            {
                Spans = new RankSpans(101 * Second, ["forward: 0"], [0], [0], [1_000_000], 0),
            },
        ];
        var trace = StageTrace.Of(order, new StageId("run", "pretrain"), At, layout, ranks, rank => $"node-{rank}");
        Assert.Equal((41L, 1, 2), (trace.FirstStep, trace.Steps, trace.Ranks));
        Assert.Equal(8, trace.StepSeconds, 1e-9);
        Assert.Equal([7 - 3.0, 7 - 3.0], trace.Drawn.Select(r => r.Parts.Bubble));
        Assert.Equal(1 * (1 + 2), trace.Formula, 1e-9);
        Assert.Equal(1, trace.Slowest);
        Assert.Equal([3.0, 7.0], trace.Drawn.Select(r => r.Parts.Compute));
        Assert.Equal(Second, trace.Drawn[1].Spans!.From);
        Assert.Equal("forward", trace.Drawn[1].Spans!.Each().Single().Kind);
    }

    [Fact]
    public void Of_a_large_gang_the_slowest_is_drawn_with_the_places_and_all_others_are_folded()
    {
        var layout = new ParallelLayout { Pipeline = 4 };
        var order = TraceOrder.New(7, 1, 1, 64, layout);
        var ranks = Enumerable.Range(0, 64).Select(rank => new RankTrace(7, 1, rank, "a",
            [Step(0, 10, 0, 10, busy: 5, forward: 1, backward: 1, collectives: rank == 37 ? 1 : 4, waits: 1)], [0, 10 * Second])).ToList();
        Assert.Equal(37, StageTrace.SlowestOf(ranks));
        var trace = StageTrace.Of(order, new StageId("run", "pretrain"), At, layout, ranks, rank => $"node-{rank / 8}");
        Assert.Equal([0, 16, 32, 37, 48], trace.Drawn.Select(r => r.Rank));
        Assert.Equal([(0, 16), (1, 16), (2, 16), (3, 16)], trace.Places.Select(p => (p.Pipeline, p.Ranks)));
        Assert.Equal((5.0 * 15 + 8) / 16, trace.Places[2].Parts.Compute, 1e-9);
    }

    private static RankTrace Rank(int rank, string clock, double[] together) =>
        new(1, 1, rank, clock, [], [.. together.Select(t => (long)(t * Second))]);

    private static RankStep Step(
        double began, double ended, double passesBegan, double passesEnded, double busy, double forward, double backward,
        double collectives, double waits) =>
        new(41, (long)(began * Second), (long)(ended * Second), (long)(passesBegan * Second), (long)(passesEnded * Second), busy,
            collectives, 0, waits)
        {
            Forward = forward, Backward = backward,
        };
}
