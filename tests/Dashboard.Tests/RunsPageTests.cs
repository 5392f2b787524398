using Bunit;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Pages.Runs;
using Grpc.Core;

namespace DeepSeekOps.Dashboard.Tests;

public sealed class RunsPageTests : PageTest
{
    [Fact]
    public void Before_the_first_word_the_list_says_that_it_loads()
    {
        var page = Render<RunsPage>();
        Assert.Equal("Loading runs", page.Find("[aria-busy=true]").GetAttribute("aria-label"));
    }

    [Fact]
    public void With_no_run_the_page_offers_the_miniature_pipeline()
    {
        var page = Render<RunsPage>();
        Ops.Send("WatchRuns", new ListRunsReply());
        page.WaitForAssertion(() => Assert.Contains("No run yet", page.Markup));
        Assert.Contains(page.FindAll("a"), a => a.GetAttribute("href") == "/submit?example=mini");
    }

    [Fact]
    public void A_control_plane_out_of_reach_is_said_and_the_list_comes_when_it_is_back()
    {
        var page = Render<RunsPage>();
        Ops.Break("WatchRuns", StatusCode.Unavailable, "connection refused");
        page.WaitForAssertion(() => Assert.Contains("The control plane cannot be reached.", page.Markup));
        Ops.Send("WatchRuns", new ListRunsReply { Runs = { MiniRun() } });
        page.WaitForAssertion(() => Assert.Single(page.FindAll("tr[data-run=mini]")));
        Assert.DoesNotContain("cannot be reached", page.Markup);
    }

    [Fact]
    public void A_run_shows_its_state_in_words_its_reason_and_its_loss()
    {
        var page = Render<RunsPage>();
        Ops.Send("WatchRuns", new ListRunsReply { Runs = { MiniRun() } });
        page.WaitForAssertion(() => Assert.Contains("pretrain trains at step 40 of 600.", page.Markup));
        Assert.Equal("running", page.Find("tr[data-run=mini] [data-state]").TextContent.Trim());
        Assert.Contains("3.2500", page.Find("tr[data-run=mini] .loss").TextContent);
        Assert.Equal("40", page.Find("ds-spark").GetAttribute("step"));
    }

    [Fact]
    public void What_is_searched_for_stands_in_the_address_and_narrows_the_list()
    {
        var page = Render<RunsPage>();
        var other = MiniRun("failed");
        other.Name = "chats";
        Ops.Send("WatchRuns", new ListRunsReply { Runs = { MiniRun(), other } });
        page.WaitForAssertion(() => Assert.Equal(2, page.FindAll("tr[data-run]").Count));
        page.Find("input[data-search]").Input("CHA");
        page.WaitForAssertion(() => Assert.Equal("chats", page.Find("tr[data-run]").GetAttribute("data-run")));
        Assert.EndsWith("?q=CHA", Navigation.Uri);
        page.Find("input[data-search]").Input("nothing like it");
        page.WaitForAssertion(() => Assert.Contains("No run matches", page.Markup));
    }

    [Fact]
    public async Task Leaving_the_page_ends_its_stream()
    {
        var page = Render<RunsPage>();
        Ops.Send("WatchRuns", new ListRunsReply());
        Until(() => Ops.Open.GetValueOrDefault("WatchRuns") == 1);
        await page.Instance.DisposeAsync();
        Assert.Equal(0, Ops.Open["WatchRuns"]);
    }

    [Fact]
    public void A_simulated_run_says_so()
    {
        var page = Render<RunsPage>();
        var run = MiniRun();
        run.Simulated = true;
        Ops.Send("WatchRuns", new ListRunsReply { Runs = { run } });
        page.WaitForAssertion(() => Assert.Equal("simulated", page.Find(".simulated").TextContent.Trim()));
    }
}
