using System.Collections.Immutable;
using System.Globalization;
using CsCheck;
using DeepSeekOps.Decisions.Simulation;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Simulation;

public sealed class FaultTraceTests
{
    [Fact]
    public void A_trace_is_read_by_its_head_and_what_is_no_trace_is_refused_by_line_and_column()
    {
        const string Text = "node,start_days,end_days,class,description\r\n3,1.5,2,GPU,\"a, b\"\n\n0,0.25,0.5,Fan,x\n3,1.75,4,Fan,y\n";
        var (trace, problems) = FaultTrace.Parse("t", Text);
        Assert.Empty(problems);
        Assert.Equal([(0, 0.25, 0.5, "Fan"), (3, 1.5, 4.0, "GPU")],
            trace!.Faults.Select(f => (f.Node, f.From.TotalDays, f.Until.TotalDays, f.Cause.Name)));
        Assert.Equal((4, 4.0), (trace.Nodes, trace.Span.TotalDays));
        Assert.Contains("line 1 has no column node", FaultTrace.Parse("t", "start_days,end_days\n1,2").Problems.Single(),
            StringComparison.Ordinal);
        Assert.Equal(["line 2: start_days is 'x'; days from 0 to 3650 are wanted", "line 3: end_days is 1, before start_days 2",
            "line 4: node is '-1'; a whole number from 0 is wanted", "line 5: node is ''; a whole number from 0 is wanted"],
            FaultTrace.Parse("t", "start_days,end_days,node\nx,2,1\n2,1,1\n1,2,-1\n1").Problems.Where(p => !p.Contains("end_days is ''",
                StringComparison.Ordinal)));
        Assert.NotEmpty(FaultTrace.Parse("t", "start_days,end_days,node\n").Problems);
    }

    [Fact]
    public void Any_text_is_a_trace_or_has_a_problem() => Gen.String.Sample(text =>
    {
        var (trace, problems) = FaultTrace.Parse("t", "start_days,end_days,node\n" + text);
        Assert.Equal(trace is null, !problems.IsEmpty);
    });

    [Fact]
    public void Naive_restart_accounts_every_second_and_pays_restart_and_work_since_the_last_checkpoint()
    {
        var one = FaultTrace.Parse("t", "start_days,end_days,node\n0.5,0.75,0").Trace!;
        var naive = NaiveRestart.Play(one, [0], machines: 3, nodes: 2, slots: 8, TimeSpan.FromDays(1));
        // Half a day is a whole number of checkpoints: only the restart is lost.
        Assert.Equal((1, 16 * 0.25), (naive.Interruptions, naive.LostGpuHours));
        Gen.Int[1, 1_000].Sample(seed =>
        {
            var drawn = Drawn(seed);
            var played = NaiveRestart.Play(drawn, drawn.Places(12, seed), machines: 12, nodes: 8, slots: 8, TimeSpan.FromDays(20));
            Assert.Equal(64 * 20 * 86_400.0, played.GpuSeconds.Values.Sum(), 3);
            Assert.InRange(played.Goodput, 0, 1);
        }, iter: 200);
    }

    [Fact]
    public void Spares_by_the_trace_are_those_of_the_formula_where_faults_are_independent_and_more_where_they_are_not()
    {
        var alone = TracedSpares.Of(Drawn(days: 400, machines: 200, atOnce: 1), nodes: 150, machines: 200);
        Assert.InRange(alone.Measured!.Value - alone.Poisson, -1, 1);
        Assert.InRange(alone.VarianceOut / alone.MeanOut, 0.7, 1.3);
        // As many faults, four machines at a time.
        var bursts = TracedSpares.Of(Drawn(days: 400, machines: 200, atOnce: 4), nodes: 150, machines: 200);
        Assert.True(bursts.Measured > bursts.Poisson + 1, $"{bursts}");
        Assert.InRange(bursts.ShortWithPoisson, 0.01, 1);
        Assert.True(bursts.VarianceOut > 2 * bursts.MeanOut, $"{bursts}");
    }

    [Fact]
    public void One_machine_out_for_half_of_the_time_asks_for_one_spare_and_none_for_no_more_than_a_moment()
    {
        Assert.Equal(1, TracedSpares.Of(FaultTrace.Parse("t", "start_days,end_days,node\n0,5,0\n9,10,0").Trace!, 3, 4).Measured);
        Assert.Equal(0, TracedSpares.Of(FaultTrace.Parse("t", "start_days,end_days,node\n0,0.01,0\n9.99,10,0").Trace!, 3, 4).Measured);
        Assert.Null(TracedSpares.Of(FaultTrace.Parse("t", "start_days,end_days,node\n0,9,0\n0,10,1").Trace!, 1, 2).Measured);
        // Without a word on the cluster's size it has all of the trace's machines, and enough of them beside those that are out.
        Assert.Equal(2, TracedSpares.For(FaultTrace.Parse("t", "start_days,end_days,node\n0,9,0\n0,10,1").Trace!, 8));
        Assert.Equal(4, TracedSpares.For(FaultTrace.Parse("t", "start_days,end_days,node\n0,9,0\n0,10,11").Trace!, 8));
    }

    /// <summary>Faults of no memory, so many machines at once, and exponential repairs of two days.</summary>
    private static FaultTrace Drawn(int days, int machines, int atOnce)
    {
        var random = new Random(3);
        var rows = new List<string>();
        double at = 0;
        while ((at += -Math.Log(1 - random.NextDouble()) / (0.01 * machines / atOnce)) < days)
        {
            double until = Math.Min(days, at - (2 * Math.Log(1 - random.NextDouble())));
            rows.AddRange(Enumerable.Range(0, atOnce).Select(_ =>
                string.Create(CultureInfo.InvariantCulture, $"{at:0.0000},{until:0.0000},{random.Next(machines)}")));
        }

        return FaultTrace.Parse("drawn", "start_days,end_days,node\n" + string.Join('\n', rows)).Trace!;
    }

    private static FaultTrace Drawn(int seed)
    {
        var random = new Random(seed);
        var rows = Enumerable.Range(0, 30).Select(_ =>
            (From: random.NextDouble() * 18, For: random.NextDouble() * 3, Node: random.Next(10)));
        return FaultTrace.Parse("drawn", "start_days,end_days,node\n" + string.Join('\n', rows.Select(r => string.Create(
            CultureInfo.InvariantCulture, $"{r.From:0.0000},{r.From + r.For:0.0000},{r.Node}")))).Trace!;
    }
}
