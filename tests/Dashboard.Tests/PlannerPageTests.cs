using Bunit;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Pages.Planner;
using Grpc.Core;

namespace DeepSeekOps.Dashboard.Tests;

public sealed class PlannerPageTests : PageTest
{
    [Fact]
    public void A_moved_slider_asks_for_a_forecast_of_a_pipeline_with_its_value()
    {
        Ops.Answer<CheckPipelineRequest, Forecast>("ForecastPipeline", asked => new Forecast
        {
            Stages = { new StageForecast
            {
                Name = "pretrain",
                LastStep = new() { Seconds = asked.Text.Contains("nodes: 128", StringComparison.Ordinal) ? 37.5 : 19.9 },
            } },
        });
        var page = Render<PlannerPage>();
        page.WaitForAssertion(() => Assert.Contains("19.90 s", page.Find("[data-figure=step]").TextContent, StringComparison.Ordinal));

        Act(page,
            () => page.Find("[data-dial=nodes]")
                .Input(Dial.All[0].Stops.IndexOf(128).ToString(System.Globalization.CultureInfo.InvariantCulture)));

        page.WaitForAssertion(() => Assert.Contains("37.50 s", page.Find("[data-figure=step]").TextContent, StringComparison.Ordinal));
        Assert.Equal("64", page.Find("[data-dial=data]").GetAttribute("aria-valuetext"));
    }

    [Fact]
    public void A_layout_that_does_not_fit_is_answered_in_words_with_the_fix()
    {
        Ops.Answer<CheckPipelineRequest, Forecast>("ForecastPipeline", _ => new Forecast
        {
            Problems = { new Problem
            {
                Field = "parallelism.expert",
                Message = "125 ranks cannot be dealt into groups of 64.",
                Fix = "Write a divisor of 125.",
            } },
        });
        var page = Render<PlannerPage>();

        Assert.Contains("divisor of 125", page.WaitForElement("[data-problem='parallelism.expert']").TextContent, StringComparison.Ordinal);
        Assert.Empty(page.FindAll("[data-figure]"));
    }

    [Fact]
    public void Memory_beyond_the_card_is_said_in_words()
    {
        Ops.Answer<CheckPipelineRequest, Forecast>("ForecastPipeline", _ => new Forecast
        {
            Stages = { new StageForecast
            {
                LastStep = new() { Seconds = 1 },
                Memory = new() { Activations = 90e9, Total = 90e9, Capacity = 80e9 },
            } },
        });
        var page = Render<PlannerPage>();

        Assert.Contains("does not fit", page.WaitForElement("[data-figure=memory]").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void A_control_plane_out_of_reach_is_said()
    {
        Ops.Refuse("ForecastPipeline", StatusCode.Unavailable, "connection refused");
        var page = Render<PlannerPage>();
        page.WaitForAssertion(() => Assert.Contains("cannot be reached", page.Markup, StringComparison.Ordinal));
    }
}
