using System.Collections.Immutable;
using Bunit;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Pages.Cluster;
using DeepSeekOps.Dashboard.Pages.RunDetail;
using DeepSeekOps.Dashboard.Words;
using Grpc.Core;

namespace DeepSeekOps.Dashboard.Tests;

public sealed class RunPartsTests : PageTest
{
    [Fact]
    public void The_timeline_is_newest_first_and_says_how_long_it_was_quiet()
    {
        var timeline = Events(Told(1, "submitted", "info", "Submitted."), Told(2, "rank-exited", "error", "Rank 0 exited.", 3600));
        Assert.Equal(["Rank 0 exited.", "Submitted."], timeline.FindAll("li.event p").Select(p => p.TextContent));
        Assert.Contains("1 h without news", timeline.Find("li.gap").TextContent);
        Assert.Equal("error", timeline.Find("li.event svg").GetAttribute("aria-label"));
    }

    [Fact]
    public void Checkpoints_that_follow_each_other_are_one_row_so_that_a_kill_stays_in_sight()
    {
        Event[] events = [Told(1, "node-lost", "warning", "node-0001 was killed by hand."),
            .. Enumerable.Range(2, 40).Select(n => Told(n, "checkpoint", "info", $"The checkpoint of step {n} is durable.", n)),
            Told(42, "checkpoint", "warning", "The checkpoint of step 42 is refused.", 42)];
        var newest = Render<Timeline>(p => p.Add(t => t.Events, [.. events]).Add(t => t.Loaded, true).Add(t => t.Newest, 12));
        string[] rows = ["The checkpoint of step 42 is refused.",
            "40 checkpoints in 39 s, all durable; the newest: The checkpoint of step 41 is durable.",
            "node-0001 was killed by hand."];
        Assert.Equal(rows, newest.FindAll("li.event p").Select(p => p.TextContent));
        Assert.Equal(rows, Events(events).FindAll("li.event p").Select(p => p.TextContent));
    }

    [Fact]
    public void The_newest_of_them_is_that_of_the_highest_step_in_whatever_order_they_were_told()
    {
        Event[] events = [.. new[] { 20, 60, 40 }.Select((step, n) =>
        {
            var told = Told(n + 1, "checkpoint", "info", $"step {step}", n);
            told.Step = step;
            return told;
        })];
        Assert.Equal("3 checkpoints in 2 s, all durable; the newest: step 60",
            Assert.Single(Events(events).FindAll("li.event p")).TextContent);
    }

    [Fact]
    public void A_timeline_that_is_searched_shows_each_event_that_has_the_words()
    {
        Event[] events =
            [.. Enumerable.Range(1, 5).Select(n => Told(n, "checkpoint", "info", $"The checkpoint of step {n} is durable.", n))];
        var found =
            Render<Timeline>(p => p.Add(t => t.Events, [.. events]).Add(t => t.Loaded, true).Add(t => t.Filter, new EventFilter("step 3")));
        Assert.Equal("The checkpoint of step 3 is durable.", Assert.Single(found.FindAll("li.event p")).TextContent);
        found.Render(p => p.Add(t => t.Filter, new EventFilter("durable")));
        Assert.Equal(5, found.FindAll("li.event p").Count);
    }

    [Fact]
    public void A_long_reason_that_ended_a_run_stands_in_full_once_and_short_on_the_stages_card()
    {
        string why = "the loss became NaN at step 31, the second time within 500 steps. "
            + string.Join(' ', Enumerable.Repeat("Try a lower learningRate.", 20));
        var run = MiniRun("failed");
        (run.Reason, run.Stages[0].Reason) = ($"stage pretrain failed: {why}", why);
        var page = Render<RunPage>(p => p.Add(r => r.Name, "mini"));
        Ops.Send("WatchRun", run);
        page.WaitForElement("[data-stage=pretrain]");
        var said = page.FindAll("p, span, div, li").Where(e => e.ChildElementCount == 0).Select(e => e.TextContent);
        Assert.Single(said, text => text.Contains(why, StringComparison.Ordinal));
        string card = page.Find("[data-stage=pretrain] .why").TextContent.Trim();
        Assert.Equal("the loss became NaN at step 31, the second time within 500 …", card);
    }

    [Fact]
    public void The_timelines_filter_stands_in_the_address()
    {
        Navigation.NavigateTo("/runs/mini?tab=timeline&level=error&find=RANK");
        var timeline = Render<RunPage>(p => p.Add(r => r.Name, "mini"));
        Ops.Send("WatchRun", MiniRun());
        Ops.Send(
            "WatchEvents", Told(1, "submitted", "info", "Rank 0 is placed."), Told(2, "x", "error", "Disk full."),
            Told(3, "rank-exited", "error", "Rank 0 exited."));
        timeline.WaitForElement("li.event");
        Assert.Equal("Rank 0 exited.", Assert.Single(timeline.FindAll("li.event p")).TextContent);
    }

    [Fact]
    public void Checkpoints_are_asked_for_again_when_the_run_has_a_newer_one()
    {
        var step = 20L;
        Ops.Answer<ListCheckpointsRequest, ListCheckpointsReply>("ListCheckpoints", _ => new ListCheckpointsReply
        {
            Checkpoints = { new Checkpoint { Stage = "pretrain", Step = step, At = Noon, Bytes = 35_021_312, State = "good" } },
        });
        var table = Render<CheckpointTable>(p => p.Add(t => t.Run, MiniRun()));
        table.WaitForAssertion(() => Assert.Contains("35.0 MB", table.Find("tr[data-step='20']").TextContent));
        step = 60;
        var later = MiniRun();
        later.Stages[0].CheckpointStep = 60;
        table.Render(p => p.Add(t => t.Run, later));
        table.WaitForAssertion(() => Assert.Single(table.FindAll("tr[data-step='60']")));
    }

    [Fact]
    public void Where_a_checkpoint_is_and_since_when_is_told_where_there_is_a_store()
    {
        var copied = new Checkpoint
        {
            Stage = "pretrain", Step = 20, At = Noon, State = "good", StoreUri = "s3://b/p", StoredAt = Noon, OnlyStored = true,
            StoreLag = new() { Seconds = 3 },
        };
        var saved = new Checkpoint { Stage = "pretrain", Step = 40, At = Noon, State = "good" };
        Ops.Answer<ListCheckpointsRequest, ListCheckpointsReply>(
            "ListCheckpoints", _ => new ListCheckpointsReply { Checkpoints = { copied, saved } });
        var table = Render<CheckpointTable>(p => p.Add(t => t.Run, MiniRun()));
        table.WaitForAssertion(() => Assert.Contains("only in its folder", Told(40)));
        Assert.EndsWith(", nowhere else", Told(20), StringComparison.Ordinal);
        Assert.Equal("s3://b/p", table.Find("td[data-store='20']").GetAttribute("title"));
        Assert.Contains("3 s", table.Find("tr[data-step='20']").TextContent, StringComparison.Ordinal);

        string Told(int step) => string.Join(' ', table.Find($"td[data-store='{step}']").TextContent.Split((char[]?)null,
            StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void Checkpoints_that_cannot_be_read_say_why_and_none_is_no_error()
    {
        Ops.Refuse("ListCheckpoints", StatusCode.Internal, "the ledger is locked");
        var table = Render<CheckpointTable>(p => p.Add(t => t.Run, MiniRun()));
        table.WaitForAssertion(() => Assert.Contains("the ledger is locked", table.Find("[role=alert]").TextContent));
        Ops.Answer<ListCheckpointsRequest, ListCheckpointsReply>("ListCheckpoints", _ => new ListCheckpointsReply());
        Act(table, () => table.Find("button").Click());
        table.WaitForAssertion(() => Assert.Contains("No checkpoint yet", table.Markup));
    }

    [Fact]
    public void Logs_ask_the_server_for_what_the_address_says_and_show_a_line_once()
    {
        Navigation.NavigateTo("/runs/mini?tab=logs&rank=0&attempt=1&contains=loss");
        var page = Render<RunPage>(p => p.Add(r => r.Name, "mini"));
        Ops.Send("WatchRun", MiniRun());
        page.WaitForAssertion(() => Assert.NotNull(page.FindComponent<LogView>()));
        var view = page.FindComponent<LogView>();
        view.WaitForAssertion(() => Assert.Contains(
            Ops.Calls,
            c => c.Request is GetLogsRequest { Run: "mini", Stage: "pretrain", Attempt: 1, HasRank: true, Rank: 0, Contains: "loss" }));
        var first = new LogEntry { At = Noon, Stage = "pretrain", Attempt = 1, Line = 1, Text = "loss 5.1" };
        Ops.Send("WatchLogs", first);
        view.WaitForAssertion(() => Assert.StartsWith("1 lines", view.Find("[role=status]").TextContent, StringComparison.Ordinal));
        Ops.Break("WatchLogs", StatusCode.Unavailable, "");
        Ops.Send("WatchLogs", first, new LogEntry { At = Noon, Stage = "pretrain", Attempt = 1, Line = 2, Text = "loss 5.0" });
        view.WaitForAssertion(() => Assert.StartsWith("2 lines", view.Find("[role=status]").TextContent, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Logs_end_their_stream_when_they_are_left()
    {
        var view = Render<LogView>(p => p.Add(v => v.Run, MiniRun()).Add(v => v.Stage, "pretrain"));
        Until(() => Ops.Open.GetValueOrDefault("WatchLogs") == 1);
        await view.Instance.DisposeAsync();
        Assert.Equal(0, Ops.Open["WatchLogs"]);
    }

    [Fact]
    public void Results_stand_beside_what_they_are_compared_with()
    {
        var run = MiniRun("completed");
        run.Stages[0].Evaluations.Add(new Evaluation { Name = "rl_accuracy_before", Value = 0.43, Low = 0.36, High = 0.5, Samples = 200 });
        run.Stages[0].Evaluations.Add(
            new Evaluation { Name = "rl_accuracy_after", Value = 0.715, Low = 0.65, High = 0.77, Samples = 200, Step = 40 });
        var card = Render<ResultsCard>(p => p.Add(r => r.Run, run));
        Assert.Contains("71.5 %", card.Find("[data-evaluation=rl_accuracy_after]").TextContent);
        Assert.Contains("+28.5 points, intervals apart", card.Find(".verdict").TextContent);
    }

    [Fact]
    public void A_worse_result_is_not_praised()
    {
        var run = MiniRun("completed");
        run.Stages[0].Evaluations.Add(new Evaluation { Name = "student_accuracy_undistilled", Value = 0.5 });
        run.Stages[0].Evaluations.Add(new Evaluation { Name = "student_accuracy_distilled", Value = 0.4 });
        var group = Assert.Single(Results.Of(run));
        Assert.Equal(("−10.0 points", false), (group.Verdict, group.Better));
    }

    [Fact]
    public void A_distilled_student_is_compared_with_one_that_had_no_teacher_and_never_with_the_teacher()
    {
        var run = MiniRun("completed");
        void Add(string name, double value, double low, double high, long step) =>
            run.Stages[0].Evaluations.Add(
                new Evaluation { Name = name, Value = value, Low = low, High = high, Samples = 400, Step = step });
        Add("student_accuracy_before", 0.2, 0.16, 0.24, 0);
        Add("teacher_accuracy", 0.99, 0.97, 1, 0);
        Add("student_accuracy_undistilled", 0.6, 0.55, 0.65, 376);
        Add("student_accuracy_distilled", 0.7, 0.66, 0.74, 376);
        var group = Assert.Single(Results.Of(run));
        Assert.Equal(("+10.0 points, intervals apart", true), (group.Verdict, group.Better));
        Assert.Equal(["as it began", "the teacher", "trained without the teacher", "distilled"], group.Rows.Select(r => r.Word));
        Assert.All(group.Rows, r => Assert.EndsWith("n = 400", r.Interval, StringComparison.Ordinal));
    }

    [Fact]
    public void A_loss_and_an_overload_are_better_when_they_fall()
    {
        var run = MiniRun("completed");
        run.Stages[0].Evaluations.Add(new Evaluation { Name = "heldout_loss_before", Value = 5.64, Low = 5.63, High = 5.65 });
        run.Stages[0].Evaluations.Add(new Evaluation { Name = "heldout_loss_after", Value = 0.45, Low = 0.43, High = 0.47 });
        run.Stages[0].Evaluations.Add(new Evaluation { Name = "heldout_loss_ema", Value = 0.46, Low = 0.44, High = 0.48 });
        run.Stages[0].Evaluations.Add(new Evaluation { Name = "expert_excess_before", Value = 2.07 });
        run.Stages[0].Evaluations.Add(new Evaluation { Name = "expert_excess_after", Value = 0.28 });
        Assert.Equal([("−5.190, intervals apart", true), ("−179.0 points", true)], Results.Of(run).Select(g => (g.Verdict, g.Better)));
    }

    [Fact]
    public void Sampled_answers_are_compared_with_sampled_ones()
    {
        var run = MiniRun("completed");
        void Add(string name, double value) => run.Stages[0].Evaluations.Add(new Evaluation { Name = name, Value = value });
        Add("rl_accuracy_before", 0.4);
        Add("rl_greedy_accuracy_before", 0.7);
        Add("rl_accuracy_after", 0.6);
        Add("rl_greedy_accuracy_after", 0.8);
        Add("rollouts_failed", 0.1);
        Assert.Equal(["+20.0 points", "+10.0 points", null], Results.Of(run).Select(g => g.Verdict));
    }

    [Fact]
    public void The_cluster_shows_what_runs_where_by_which_agent()
    {
        var page = Render<ClusterPage>();
        Assert.Equal("Loading the cluster", page.Find("[aria-busy=true]").GetAttribute("aria-label"));
        Ops.Send("WatchCluster", new Cluster
        {
            Kind = "local",
            Nodes =
            {
                new Node { Name = "node-0", State = "ready", Reason = "ready", Slots = 1, SlotsUsed = 1, Run = "mini",
                    Stage = "pretrain", Attempt = 1, AgentPid = 4711, LastSeen = Noon },
                new Node { Name = "node-1", State = "not-ready", Slots = 1, Reason = "Its agent has not been heard for 12 s." },
            },
        });
        page.WaitForAssertion(() => Assert.Contains("mini / pretrain", page.Find("[data-node=node-0]").TextContent));
        // Its state is its reason: said once.
        Assert.Single(page.FindAll("[data-node=node-0] *"), e => e.ChildElementCount == 0 && e.TextContent == "ready");
        Assert.Contains("agent pid 4711", page.Find("[data-node=node-0]").TextContent);
        Assert.Contains("not ready", page.Find("[data-node=node-1]").TextContent);
        Assert.Contains("Its agent has not been heard for 12 s.", page.Find("[data-node=node-1]").TextContent);
    }

    [Fact]
    public void A_cluster_without_nodes_and_one_out_of_reach_say_so()
    {
        var page = Render<ClusterPage>();
        Ops.Break("WatchCluster", StatusCode.Unavailable, "");
        page.WaitForAssertion(() => Assert.Contains("The cluster cannot be read", page.Markup));
        Ops.Send("WatchCluster", new Cluster { Kind = "local" });
        page.WaitForAssertion(() => Assert.Contains("The cluster has no nodes", page.Markup));
    }

    [Theory]
    [InlineData(3.25, "3.2500")]
    [InlineData(-0.00000473, "-4.7e-6")]
    [InlineData(-0.0, "0.0000")]
    [InlineData(double.NaN, "NaN")]
    public void A_loss_near_nothing_is_told_and_never_a_mere_sign(double value, string words) => Assert.Equal(words, Figures.Loss(value));

    [Fact]
    public void A_run_whose_stage_is_started_again_shows_that()
    {
        var run = MiniRun();
        run.Stages[0].State = "restarting";
        Assert.Equal("restarting", Stages.Shown(run));
        run.State = "cancelling";
        Assert.Equal("cancelling", Stages.Shown(run));
    }

    [Theory]
    [InlineData(614400, "614 k")]
    [InlineData(14.8e12, "14.8 T")]
    [InlineData(999.6, "1.00 k")]
    [InlineData(40, "40")]
    public void Counts_read_in_three_digits_and_a_letter(double value, string words) => Assert.Equal(words, Figures.Count(value));

    [Theory]
    [InlineData(0.31, "310 ms")]
    [InlineData(2.3, "2.3 s")]
    [InlineData(125, "2 min 5 s")]
    [InlineData(3600 * 26, "1 d 2 h")]
    public void Durations_read_in_two_units(double seconds, string words) =>
        Assert.Equal(words, Figures.Duration(TimeSpan.FromSeconds(seconds)));

    private IRenderedComponent<Timeline> Events(params Event[] events) =>
        Render<Timeline>(p => p.Add(t => t.Events, events.ToImmutableList()).Add(t => t.Loaded, true));
}
