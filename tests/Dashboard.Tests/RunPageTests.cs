using Bunit;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Pages.RunDetail;
using Grpc.Core;
using MudBlazor;

namespace DeepSeekOps.Dashboard.Tests;

public sealed class RunPageTests : PageTest
{
    public RunPageTests() => Ops.Answer<ListSeriesRequest, ListSeriesReply>("ListSeries", _ =>
        new ListSeriesReply { Series = { new Series { Name = "mtp_loss" } } });

    [Fact]
    public void Before_the_first_word_the_page_names_the_run_and_loads() =>
        Assert.Equal("Loading the run", Show().Find("[aria-busy=true]").GetAttribute("aria-label"));

    [Fact]
    public void A_run_that_is_not_there_is_said_in_the_servers_words()
    {
        var page = Show();
        Ops.Break("WatchRun", StatusCode.NotFound, "There is no run named \"mini\".");
        page.WaitForAssertion(() => Assert.Contains("There is no run named mini", page.Markup));
    }

    /// <summary>An address may hold any text; the page asked for ever and said that the run cannot be read.</summary>
    [Fact]
    public void A_name_that_no_run_can_have_is_a_run_that_is_not_there_and_nothing_is_said_twice()
    {
        var page = Show();
        Ops.Break("WatchRun", StatusCode.InvalidArgument, "name '../..' is not a name; use letters, digits, '-', '_' and '.'.");
        page.WaitForAssertion(() => Assert.Contains("There is no run named mini", page.Markup));
        Assert.DoesNotContain("Asking again", page.Markup);

        var other = Show();
        Ops.Break("WatchRun", StatusCode.NotFound, "There is no run named mini. `dsops runs` lists those there are.");
        other.WaitForAssertion(() => Assert.Equal(2, other.Markup.Split("There is no run named mini").Length));
    }

    [Fact]
    public void A_stream_that_fails_is_an_error_first_and_later_a_note_beside_what_was_known()
    {
        var page = Show();
        Ops.Break("WatchRun", StatusCode.Internal, "the grain is gone");
        page.WaitForAssertion(() => Assert.Contains("the grain is gone", page.Find("[role=alert]").TextContent));
        Ops.Send("WatchRun", MiniRun());
        page.WaitForAssertion(() => Assert.NotNull(page.Find("[data-stage=pretrain]")));
        Ops.Break("WatchRun", StatusCode.Unavailable, "");
        page.WaitForAssertion(() => Assert.Contains("What you see is what was last known.", page.Markup));
        Assert.NotNull(page.Find("[data-stage=pretrain]"));
    }

    [Fact]
    public void The_pipeline_shows_each_stage_with_its_state_and_reason_and_follows_the_stream()
    {
        var page = Show();
        Ops.Send("WatchRun", MiniRun());
        page.WaitForAssertion(
            () => Assert.Equal(["pretrain", "extend"], page.FindAll("[data-stage]").Select(s => s.GetAttribute("data-stage"))));
        Assert.Contains("Waits for pretrain.", page.Find("[data-stage=extend]").TextContent);
        Assert.Contains("attempt 2", page.Find("[data-stage=pretrain]").TextContent);
        var later = MiniRun();
        later.Stages[0].State = "restarting";
        later.Stages[0].Reason = "Rank 0 exited with code 137.";
        Ops.Send("WatchRun", later);
        page.WaitForAssertion(() => Assert.Contains("Rank 0 exited with code 137.", page.Find("[data-stage=pretrain]").TextContent));
        Assert.Equal("restarting", page.Find("[data-stage=pretrain]").GetAttribute("data-state"));
    }

    [Fact]
    public void A_page_of_2048_ranks_has_fewer_than_1500_elements_and_tells_the_odd_one_first()
    {
        var page = Show();
        var run = MiniRun();
        run.Stages[0].Ranks.Clear();
        run.Stages[0].Ranks.Add(new Rank { Rank_ = 77, Node = "node-9", Pid = 1, State = "exited" });
        run.Stages[0].RankGroups.Add(new RankGroup { State = "training", Ranks = 2047, Nodes = 256 });
        Ops.Send("WatchRun", run);
        page.WaitForAssertion(() => Assert.Contains("rank 77 on node-9", page.Find("[data-rank]").TextContent));
        Assert.Contains("ranks on 256 nodes", page.Find("[data-ranks=training]").TextContent);
        Assert.Contains("2,047 ranks", page.Find("[data-ranks=training]").TextContent);
        Assert.InRange(page.FindAll("*").Count, 100, 1500);
    }

    [Fact]
    public void The_pipelines_text_that_comes_with_the_first_word_alone_stays_on_the_page()
    {
        Navigation.NavigateTo("/runs/mini?tab=pipeline");
        var page = Show();
        var run = MiniRun();
        run.Pipeline = "name: mini";
        Ops.Send("WatchRun", run);
        page.WaitForAssertion(() => Assert.Contains("name: mini", page.Markup, StringComparison.Ordinal));
        var later = MiniRun();
        (later.Pipeline, later.Reason) = ("", "something new");
        Ops.Send("WatchRun", later);
        page.WaitForAssertion(() => Assert.Contains("something new", page.Find("[data-reason]").TextContent, StringComparison.Ordinal));
        Assert.Contains("name: mini", page.Markup, StringComparison.Ordinal);
    }

    [Fact]
    public void Charts_get_their_view_from_the_address_and_marks_from_the_events()
    {
        Navigation.NavigateTo("/runs/mini?x=tokens&smooth=0.9&log=true&from=10&to=20");
        var page = Show();
        Ops.Send("WatchRun", MiniRun());
        var restart = Told(1, "restarting", "warning", "Attempt 2 starts from step 40.");
        restart.Step = 40;
        Ops.Send("WatchEvents", restart);
        page.WaitForAssertion(() => Assert.Contains("\"kind\":\"restart\",\"x\":40960", page.Find("ds-charts").GetAttribute("marks")));
        var charts = page.Find("ds-charts");
        Assert.Equal(
            ["tokens", "0.9", "true", "10", "20", "pretrain"],
            new[] { "x", "smooth", "log", "from", "to", "stage" }.Select(a => charts.GetAttribute(a)));
        page.WaitForAssertion(() => Assert.Contains("mtp loss", page.Find(".menu").TextContent));
    }

    /// <summary>A failed run without a point said "The first step is drawn here as it happens".</summary>
    [Fact]
    public void Charts_of_a_stage_that_has_ended_promise_no_first_step()
    {
        var page = Show();
        Ops.Send("WatchRun", MiniRun());
        page.WaitForAssertion(() => Assert.False(page.Find("ds-charts").HasAttribute("over")));
        Ops.Send("WatchRun", MiniRun("failed"));
        page.WaitForAssertion(() => Assert.True(page.Find("ds-charts").HasAttribute("over")));
    }

    [Fact]
    public void Pausing_asks_first_and_keeps_the_reason()
    {
        Ops.Answer<RunCommand, Run>("PauseRun", _ => MiniRun("pausing"));
        Ops.Answer<ForeseeRequest, Foresight>("Foresee", _ => new Foresight { Consequences = { "1 GPU on 1 node becomes free." } });
        var dialogs = Render<MudDialogProvider>();
        var page = Show();
        Ops.Send("WatchRun", MiniRun());
        page.WaitForElement("[aria-label='Actions on the run'] button");
        Act(page, () => page.Find("[aria-label='Actions on the run'] button").Click());
        Act(page, () => page.Find("[aria-label='Actions on the run'] button").Click());
        dialogs.WaitForAssertion(() => Assert.Contains("saves a checkpoint", dialogs.Markup));
        // A double click on Pause opened two questions, one behind the other.
        Assert.Single(dialogs.FindAll(".mud-dialog"));
        dialogs.WaitForAssertion(() => Assert.Contains("1 GPU on 1 node becomes free.", dialogs.Find("[data-consequences]").TextContent));
        Assert.Contains(Ops.Calls, c => c.Request is ForeseeRequest { Action: "pause", Run: "mini" });
        Assert.DoesNotContain(Ops.Calls, c => c.Method == "PauseRun");
        Act(dialogs, () => dialogs.Find("input").Input("lent to evals"));
        Act(dialogs, () => dialogs.FindAll("button").Single(b => b.TextContent.Trim() == "Pause").Click());
        page.WaitForAssertion(() => Assert.Contains(Ops.Calls, c => c.Request is RunCommand { Name: "mini", Reason: "lent to evals" }));
    }

    [Theory]
    [InlineData("running", "Pause Cancel Clone")]
    [InlineData("paused", "Resume Cancel Clone")]
    [InlineData("failed", "Retry Clone")]
    [InlineData("cancelling", "Clone")]
    public void Only_what_a_state_allows_is_offered(string state, string offered)
    {
        var actions = Render<RunActions>(p => p.Add(a => a.Run, MiniRun(state)));
        Assert.Equal(offered, string.Join(' ', actions.FindAll(".mud-button-label").Select(b => b.TextContent.Trim())));
    }

    [Fact]
    public async Task Leaving_the_page_ends_both_streams()
    {
        var page = Show();
        Ops.Send("WatchRun", MiniRun());
        Until(() => Ops.Open.GetValueOrDefault("WatchRun") == 1 && Ops.Open.GetValueOrDefault("WatchEvents") == 1);
        await page.Instance.DisposeAsync();
        Assert.Equal((0, 0), (Ops.Open["WatchRun"], Ops.Open["WatchEvents"]));
    }

    private IRenderedComponent<RunPage> Show() => Render<RunPage>(p => p.Add(r => r.Name, "mini"));
}
