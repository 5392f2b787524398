using Bunit;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Pages.RunDetail;
using Grpc.Core;

namespace DeepSeekOps.Dashboard.Tests;

/// <summary>Recorded steps on the run's page, and the button that records more.</summary>
public sealed class TracePanelTests : PageTest
{
    private static readonly Trace Kept = new()
    {
        Id = 7, Run = "mini", Stage = "pretrain", Attempt = 2, FirstStep = 41, Steps = 2, Ranks = 2, State = TraceState.Kept,
        StepSeconds = 2, Parts = Parts(0.5), FormulaSeconds = 0.4, Schedule = "1f1b", Slowest = 1,
        Drawn =
        {
            new TraceRank { Rank = 0, Node = "node-0", Parts = Parts(0.6) },
            new TraceRank { Rank = 1, Node = "node-1", Pipeline = 1, Parts = Parts(0.4) },
        },
    };

    [Fact]
    public void What_is_kept_is_drawn_with_the_measured_bubble_beside_the_formula_and_its_ranks_in_figures()
    {
        Ops.Answer<ListTracesRequest, ListTracesReply>("ListTraces", _ => new ListTracesReply { Traces = { Kept } });
        Ops.Answer<GetTraceRequest, Trace>("GetTrace", _ => Kept);
        var page = Show("completed");
        page.WaitForAssertion(() => Assert.Equal("/v1/runs/mini/traces/7", page.Find("ds-trace").GetAttribute("src")));
        Assert.Contains("500.0 ms (25.0 %)", page.Find(".says").TextContent, StringComparison.Ordinal);
        Assert.Contains("by the formula of 1f1b: 400.0 ms", page.Find(".says").TextContent, StringComparison.Ordinal);
        Assert.Contains("Rank 1 computed longest", page.Find(".says").TextContent, StringComparison.Ordinal);
        Assert.Equal(["0", "1"], page.FindAll("tbody tr td:first-child").Select(cell => cell.TextContent));
        Assert.Equal("/series/trace.json?run=mini&id=7", page.Find("a[download]").GetAttribute("href"));
        Assert.Empty(page.FindAll("[data-record]"));
        Assert.True(Ops.Calls.Select(c => c.Request).OfType<GetTraceRequest>().Single().WithoutSpans);
    }

    [Fact]
    public void The_button_tells_how_far_a_recording_is_and_then_shows_it()
    {
        var state = new Trace { Id = 7, State = TraceState.Recording, Reason = "3 of 4 ranks have told" };
        Ops.Answer<ListTracesRequest, ListTracesReply>(
            "ListTraces", _ => state == Kept ? new ListTracesReply { Traces = { Kept } } : new ListTracesReply());
        Ops.Answer<RecordTraceRequest, Trace>("RecordTrace", _ => state);
        Ops.Answer<GetTraceRequest, Trace>("GetTrace", _ => state);
        var page = Show("running");
        page.WaitForAssertion(() => Assert.Contains("No step has been recorded", page.Markup, StringComparison.Ordinal));
        page.Find("[data-record]").Click();
        page.WaitForAssertion(() => Assert.Contains("3 of 4 ranks", page.Find("[data-under]").TextContent, StringComparison.Ordinal));
        Assert.True(page.Find("[data-record]").HasAttribute("disabled"));
        state = Kept;
        page.WaitForAssertion(() => Assert.NotNull(page.Find("ds-trace")));
        Assert.Empty(page.FindAll("[data-under]"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void One_that_came_to_nothing_says_why_and_leaves_what_is_drawn(bool refused)
    {
        Ops.Answer<ListTracesRequest, ListTracesReply>("ListTraces", _ => new ListTracesReply { Traces = { Kept } });
        Ops.Answer<GetTraceRequest, Trace>("GetTrace", _ => Kept);
        if (refused)
        {
            Ops.Refuse("RecordTrace", StatusCode.FailedPrecondition, "pretrain is too near its end");
        }
        else
        {
            Ops.Answer<RecordTraceRequest, Trace>(
                "RecordTrace", _ => new Trace { State = TraceState.Failed, Reason = "rank 2 was silent" });
        }

        var page = Show("running");
        page.WaitForElement("ds-trace");
        page.Find("[data-record]").Click();
        page.WaitForAssertion(() => Assert.Contains(
            refused ? "too near its end" : "rank 2 was silent", page.Find("[role=alert]").TextContent, StringComparison.Ordinal));
        Assert.NotNull(page.Find("ds-trace"));
        Assert.False(page.Find("[data-record]").HasAttribute("disabled"));
    }

    [Fact]
    public void Simulated_ranks_are_asked_for_nothing()
    {
        Ops.Answer<ListTracesRequest, ListTracesReply>("ListTraces", _ => new ListTracesReply());
        var page = Show("running", simulated: true);
        Until(() => Ops.Calls.Any(c => c.Method == "ListTraces"));
        Assert.Empty(page.FindAll("section"));
    }

    private IRenderedComponent<TracePanel> Show(string state, bool simulated = false)
    {
        var run = MiniRun(state);
        run.Simulated = simulated;
        return Render<TracePanel>(p => p.Add(r => r.Run, run).Add(r => r.Stage, run.Stages[0]));
    }

    private static TraceParts Parts(double bubble) => new() { Compute = 1, Collectives = 0.4, Sends = 0.1, Waits = 0.5, Bubble = bubble };
}
