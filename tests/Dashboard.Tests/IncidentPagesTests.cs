using Bunit;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Pages.Incidents;
using DeepSeekOps.Dashboard.Pages.RunDetail;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace DeepSeekOps.Dashboard.Tests;

public sealed class IncidentPagesTests : PageTest
{
    [Fact]
    public void The_list_has_what_waits_for_a_person_first_then_what_is_open_then_the_newest()
    {
        Ops.Answer<ListIncidentsRequest, ListIncidentsReply>("ListIncidents", _ => new ListIncidentsReply
        {
            Incidents = { Of(3, "closed"), Of(2, "verifying"), Of(1, "needs-human") }, MeanGrade = 82.5, Graded = 2,
        });
        var page = Render<IncidentsPage>();
        page.WaitForAssertion(() => Assert.Equal(["/incidents/mini/pretrain/1", "/incidents/mini/pretrain/2", "/incidents/mini/pretrain/3"],
            page.FindAll("[data-incident]").Select(r => r.GetAttribute("data-incident"))));
        Assert.Contains("needs a person", page.Find("[data-incident]").TextContent, StringComparison.Ordinal);
        Assert.Contains("2 graded", page.Find("[data-mean-grade]").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void No_incident_and_a_list_that_cannot_be_read_are_said()
    {
        Ops.Answer<ListIncidentsRequest, ListIncidentsReply>("ListIncidents", _ => new ListIncidentsReply());
        var empty = Render<IncidentsPage>();
        empty.WaitForAssertion(() => Assert.Contains("No incident", empty.Markup, StringComparison.Ordinal));
        Ops.Refuse("ListIncidents", StatusCode.Unavailable, "");
        var away = Render<IncidentsPage>();
        away.WaitForAssertion(() => Assert.NotEmpty(away.FindAll("[role=alert]")));
    }

    [Fact]
    public void Nodes_that_are_out_are_listed_with_what_shows_it_and_what_was_done_also_where_no_run_had_an_incident()
    {
        Ops.Answer<ListIncidentsRequest, ListIncidentsReply>("ListIncidents", _ => new ListIncidentsReply
        {
            Nodes = { OfNode(1, "closed"), OfNode(2, "acting") },
        });
        var page = Render<IncidentsPage>();
        page.WaitForAssertion(() => Assert.Equal(["node-7/2", "node-7/1"],
            page.FindAll("[data-node-incident]").Select(r => r.GetAttribute("data-node-incident"))));
        string row = page.Find("[data-node-incident]").TextContent;
        Assert.Contains("Xid 79", row, StringComparison.Ordinal);
        Assert.Contains("nothing is placed there", row, StringComparison.Ordinal);
        Assert.Empty(page.FindAll("[data-incident]"));
    }

    private static NodeIncident OfNode(int number, string state) => new()
    {
        Node = "node-7", Number = number, State = state, Sentence = "node-7 is not ready", OpenedAt = Noon, HappenedAt = Noon,
        Cause = "not ready", Evidence = "Xid 79", Done = "nothing is placed there",
        Steps = { new IncidentStep { At = Noon, State = "acting", Text = "out" } },
    };

    [Fact]
    public void An_incident_shows_cause_refusals_phases_cost_and_evidence_and_takes_a_grade()
    {
        var incident = Of(2, "closed");
        Ops.Answer<GetIncidentRequest, IncidentReport>("GetIncident", asked => Report(incident, asked.Number));
        Ops.Answer<GradeIncidentRequest, IncidentReport>("GradeIncident", asked =>
        {
            incident.Grade = asked.Grade;
            return Report(incident, asked.Number);
        });
        var page = Render<IncidentPage>(p => p.Add(i => i.Run, "mini").Add(i => i.Stage, "pretrain").Add(i => i.Number, 2));
        page.WaitForAssertion(() => Assert.Contains("memory ran out", page.Markup, StringComparison.Ordinal));
        Assert.Equal("0.50 GPU-hours, $1.00", page.Find("[data-cost]").TextContent);
        Assert.Contains("noticed", page.Find("figure svg").GetAttribute("aria-label"), StringComparison.Ordinal);
        Assert.Contains("CUDA error", page.Find("[data-rank='3']").TextContent, StringComparison.Ordinal);
        Assert.Contains("OOMKilled", page.Find("[data-pod]").TextContent, StringComparison.Ordinal);
        Act(page, () => page.Find("[data-grade='65']").Click());
        page.WaitForAssertion(() => Assert.Equal("true", page.Find("[data-grade='65']").GetAttribute("aria-pressed")));
        Assert.Equal("false", page.Find("[data-grade='100']").GetAttribute("aria-pressed"));
    }

    [Fact]
    public void A_hold_says_who_and_offers_the_release_and_what_cannot_be_taken_back_says_why()
    {
        var asked = new List<HoldRequest>();
        Ops.Answer<HoldRequest, Run>("ReleaseRun", request =>
        {
            asked.Add(request);
            return new Run { Name = "mini" };
        });
        Ops.Answer<GetIncidentRequest, IncidentReport>("GetIncident", got =>
        {
            var report = Report(Of(2, "diagnosed"), got.Number);
            report.Hold = asked.Count > 0 ? null : new PersonsHold { By = "ann", Words = "held by ann since noon", Reason = "rank 3" };
            (report.InHand, report.Undo) = (true, new UndoAnswer { Words = "it has trained since" });
            return report;
        });
        var dialogs = Render<MudBlazor.MudDialogProvider>();
        var page = Render<IncidentPage>(p => p.Add(i => i.Run, "mini").Add(i => i.Stage, "pretrain").Add(i => i.Number, 2));
        page.WaitForAssertion(() => Assert.Contains("Held by ann since noon", page.Find("[data-held]").TextContent,
            StringComparison.Ordinal));
        Assert.Equal(["release", "take"], page.FindAll("[data-hand]").Select(b => b.GetAttribute("data-hand")));
        Assert.Contains("it has trained since", page.Find("[data-not-undone]").TextContent, StringComparison.Ordinal);
        Act(page, () => page.Find("[data-hand='release']").Click());
        Act(page, () => page.Find("[data-hand='release']").Click());
        dialogs.WaitForAssertion(() => Assert.Single(dialogs.FindAll(".mud-dialog")));
        dialogs.WaitForAssertion(() => Assert.True(dialogs.Find("[data-sure]").HasAttribute("disabled")));
        Act(dialogs, () => dialogs.Find("[data-by]").Input("bob"));
        Act(dialogs, () => dialogs.Find("[data-sure]").Click());
        page.WaitForAssertion(() => Assert.Equal(["hold", "take"],
            page.FindAll("[data-hand]").Select(b => b.GetAttribute("data-hand"))));
        Assert.Equal(("mini", "pretrain", 2, "bob"), (asked[0].Run, asked[0].Stage, asked[0].Number, asked[0].By));
    }

    [Fact]
    public void The_cost_of_a_run_is_told_by_bucket_and_without_a_price_in_words()
    {
        var cost = new Cost
        {
            GpuTime = Span(4), Goodput = 0.75, LostGpuHoursByCause = { ["rank exited"] = 1 },
            Buckets =
            {
                new CostBucket { Name = "productive", Words = "productive", GpuTime = Span(3) },
                new CostBucket { Name = "lostWork", Words = "lost work", GpuTime = Span(1) },
            },
        };
        var card = Render<CostCard>(p => p.Add(c => c.Cost, cost));
        Assert.Contains("75.0 % of 4.00 GPU-hours, price not set", card.Find("[data-goodput]").TextContent, StringComparison.Ordinal);
        Assert.Equal(["productive", "lostWork"], card.FindAll("[data-bucket]").Select(b => b.GetAttribute("data-bucket")));
        Assert.Contains("to rank exited", card.Markup, StringComparison.Ordinal);
    }

    private static Duration Span(double hours) => Duration.FromTimeSpan(TimeSpan.FromHours(hours));

    private static IncidentReport Report(Incident incident, int number)
    {
        Assert.Equal(incident.Number, number);
        return new IncidentReport
        {
            Incident = incident, DollarsPerGpuHour = 2,
            Evidence = new Evidence
            {
                Attempt = 1, At = Noon, Ranks = { new RankEvidence { Rank = 3, Node = "node-0", Lines = { "CUDA error" } } },
                Pods = { new PodWords { Node = "node-0", Pod = "mini-0", Reason = "OOMKilled" } },
            },
        };
    }

    private static Incident Of(int number, string state) => new()
    {
        Run = "mini", Stage = "pretrain", Number = number, State = state, Sentence = $"Rank {number} exited.", OpenedAt = Noon,
        HappenedAt = Noon,
        Diagnosis = new Diagnosis
        {
            Cause = "rank exited", Sentence = "rank 3 exited", Node = "node-0",
            TheoriesRefused = { new RefusedIdea { Idea = "memory ran out", Because = "nothing says so" } },
        },
        Outcome = new IncidentOutcome { FirstStepAt = Noon, FirstStep = 11, GpuHours = 0.5 },
        Phases = { new IncidentPhase { Name = "noticed", Took = Span(0.1) }, new IncidentPhase { Name = "load", Took = Span(0.2) } },
    };
}
