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

    private static FaultTrace Drawn(int seed)
    {
        var random = new Random(seed);
        var rows = Enumerable.Range(0, 30).Select(_ =>
            (From: random.NextDouble() * 18, For: random.NextDouble() * 3, Node: random.Next(10)));
        return FaultTrace.Parse("drawn", "start_days,end_days,node\n" + string.Join('\n', rows.Select(r => string.Create(
            CultureInfo.InvariantCulture, $"{r.From:0.0000},{r.From + r.For:0.0000},{r.Node}")))).Trace!;
    }
}
