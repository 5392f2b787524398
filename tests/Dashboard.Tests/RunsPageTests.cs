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
        Ops.Send("WatchRuns", List(MiniRun()));
        page.WaitForAssertion(() => Assert.Single(page.FindAll("tr[data-run=mini]")));
        Assert.DoesNotContain("cannot be reached", page.Markup);
    }

    [Fact]
    public void A_run_shows_its_state_in_words_its_reason_and_its_loss()
    {
        var page = Render<RunsPage>();
        Ops.Send("WatchRuns", List(MiniRun()));
        page.WaitForAssertion(() => Assert.Contains("pretrain trains at step 40 of 600.", page.Markup));
        Assert.Equal("running", page.Find("tr[data-run=mini] [data-state]").TextContent.Trim());
        Assert.Contains("3.2500", page.Find("tr[data-run=mini] .loss").TextContent);
        Assert.Equal("40", page.Find("ds-spark").GetAttribute("step"));
    }

    [Fact]
    public void What_is_searched_for_stands_in_the_address_and_is_asked_of_the_server()
    {
        var page = Render<RunsPage>();
        var other = MiniRun("failed");
        other.Name = "chats";
        Ops.Send("WatchRuns", List(MiniRun(), other));
        page.WaitForAssertion(() => Assert.Equal(2, page.FindAll("tr[data-run]").Count));
        Act(page, () => page.Find("input[data-search]").Input("CHA"));
        Until(() => Navigation.Uri.EndsWith("?q=CHA", StringComparison.Ordinal) && Asked().Search == "CHA" && Ops.Open["WatchRuns"] == 1);
        var found = List(other);
        found.All = 2;
        Ops.Send("WatchRuns", found);
        page.WaitForAssertion(() => Assert.Equal("chats", page.Find("tr[data-run]").GetAttribute("data-run")));
        Act(page, () => page.Find("input[data-search]").Input("nothing like it"));
        Until(() => Asked().Search == "nothing like it" && Ops.Open["WatchRuns"] == 1);
        Ops.Send("WatchRuns", new ListRunsReply { All = 2 });
        page.WaitForAssertion(() => Assert.Contains("2 runs are there, none of them like this.", page.Markup));
    }

    [Fact]
    public void Chips_count_all_runs_and_the_next_page_is_a_link()
    {
        var page = Render<RunsPage>();
        var list = List(MiniRun());
        (list.All, list.Total, list.NextPageToken) = (10_000, 10_000, "bmV4dA");
        list.States["completed"] = 9_999;
        Ops.Send("WatchRuns", list);
        page.WaitForAssertion(() => Assert.Equal(["all 10,000", "completed 9,999", "running 1"],
            page.FindAll(".chip:not([data-next])")
                .Select(c => string.Join(' ', c.TextContent.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries)))));
        Assert.Equal("1–1 of 10,000", page.Find("[data-place]").TextContent);
        Assert.EndsWith("?after=bmV4dA", page.Find("[data-next]").GetAttribute("href"));
    }

    [Fact]
    public void Of_what_changed_only_the_rows_come_and_the_others_stay()
    {
        var page = Render<RunsPage>();
        var other = MiniRun();
        other.Name = "chats";
        Ops.Send("WatchRuns", List(MiniRun(), other));
        page.WaitForAssertion(() => Assert.Equal(2, page.FindAll("tr[data-run]").Count));
        other.Reason = "pretrain trains at step 41 of 600.";
        var changes = List(other);
        (changes.Changes, changes.All, changes.Total) = (true, 2, 2);
        Ops.Send("WatchRuns", changes);
        page.WaitForAssertion(() => Assert.Contains("at step 41 of 600", page.Find("tr[data-run=chats]").TextContent));
        Assert.Contains("at step 40 of 600", page.Find("tr[data-run=mini]").TextContent);
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
        Ops.Send("WatchRuns", List(run));
        page.WaitForAssertion(() => Assert.Equal("simulated", page.Find(".simulated").TextContent.Trim()));
    }

    private ListRunsRequest Asked() => (ListRunsRequest)Ops.Calls.Last(c => c.Method == "WatchRuns").Request;
}
