using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

/// <summary>A node's part of a recovery's trace, as it is told with the beats.</summary>
public sealed class LaunchTraceTests
{
    private const string Order = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    private static readonly DateTimeOffset T0 = new(2026, 1, 2, 8, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("")]
    [InlineData("garbage")]
    [InlineData("00-00000000000000000000000000000000-b7ad6b7169203331-01")]
    [InlineData("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01")]
    public void An_order_without_a_traceparent_is_part_of_no_trace(string traceparent) =>
        Assert.Null(LaunchTrace.Begin(2, traceparent, T0));

    [Fact]
    public void The_trace_is_the_orders_and_the_span_its_own()
    {
        var trace = LaunchTrace.Begin(2, Order, T0)!;
        Assert.Matches("^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$", trace.Own);
        Assert.NotEqual(Order, trace.Own);
        Assert.NotEqual(trace.Own, LaunchTrace.Begin(2, Order, T0)!.Own);
    }

    [Fact]
    public void What_was_done_is_told_by_durations_and_who_did_it()
    {
        var trace = LaunchTrace.Begin(2, Order, T0)!;
        var old = new RankSeen(1, 101, T0.AddHours(-1)).LaunchedAs(0, 1, T0.AddHours(-1));
        Assert.Null(trace.Look([old], T0.AddSeconds(0.5)).CleanAt);
        trace = trace.Look([old.End(137, "", T0.AddSeconds(1))], T0.AddSeconds(1));

        var rank = new RankSeen(2, 102, T0.AddSeconds(1)).LaunchedAs(0, 2, T0.AddSeconds(1));
        rank = rank.Hear(new RankReport { Hello = new RankHello() }, T0.AddSeconds(2));
        rank = rank.Hear(new RankReport { Ready = new RankReady() }, T0.AddSeconds(4));
        rank = rank with { Told = true, ToldAt = T0.AddSeconds(4), Traceparent = trace.Own };
        // The first word was heard a second late; the next says when it had begun.
        rank = Said(rank, "build", 0, 1, T0.AddSeconds(7), trace.Own);
        rank = Said(rank, "restore", 1, 1, T0.AddSeconds(7), trace.Own);
        rank = Said(rank, "restore", 1, 1, T0.AddSeconds(7), Order);
        rank = Said(rank, "first step", 2, double.NaN, T0.AddSeconds(8), trace.Own);
        rank = Said(rank, "first step", 2, 1, T0.AddSeconds(8), trace.Own);
        rank = rank.Hear(new RankReport { Sample = new StepSample { Step = 6 } }, T0.AddSeconds(8));

        var told = trace.ToTell([rank, old], T0.AddSeconds(10))!;
        Assert.Equal((2, trace.Own, 10.0, 8.0),
            (told.Attempt, told.Traceparent, told.Ago.ToTimeSpan().TotalSeconds, told.Took.ToTimeSpan().TotalSeconds));
        Assert.Equal(
            [
                (-1, "end what is left", 10, 1), (0, "spawn", 9, 1), (0, "load", 8, 2), (0, "build", 5, 1), (0, "restore", 4, 1),
                (0, "first step", 3, 1),
            ],
            told.Parts.Select(p => (p.HasRank ? p.Rank : -1, p.What, Seconds(p.Ago), Seconds(p.Took))));
        Assert.NotNull(trace.ToTell([rank], T0.AddSeconds(8) + LaunchTrace.ToldFor));
        Assert.Null(trace.ToTell([rank], T0.AddSeconds(9) + LaunchTrace.ToldFor));
    }

    /// <summary>A rank that says for ever that something is over fills no beat.</summary>
    [Fact]
    public void What_a_rank_says_of_its_launch_is_bounded()
    {
        var rank = new RankSeen(2, 102, T0).LaunchedAs(0, 2, T0) with { ToldAt = T0, Traceparent = Order };
        var told = Enumerable.Range(0, 100).Aggregate(rank, (r, i) => Said(r, "part", i, 1, T0.AddSeconds(i + 1), Order));
        Assert.Equal(16, told.Parts.Length);
        // No part of a launch before.
        Assert.Empty(Said(rank, "restore", 0, 1, T0.AddSeconds(1), Order).LaunchedAs(0, 3, T0).Parts);
    }

    private static RankSeen Said(RankSeen rank, string what, double since, double took, DateTimeOffset heard, string traceparent) =>
        rank.Hear(new RankReport
        {
            Part = new RankPart { What = what, SinceLaunch = since, Seconds = took, Traceparent = traceparent },
        }, heard);

    private static int Seconds(Google.Protobuf.WellKnownTypes.Duration span) => (int)Math.Round(span.ToTimeSpan().TotalSeconds);
}
