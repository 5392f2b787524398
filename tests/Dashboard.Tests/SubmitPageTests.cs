using Bunit;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Pages.Submit;
using Grpc.Core;

namespace DeepSeekOps.Dashboard.Tests;

public sealed class SubmitPageTests : PageTest
{
    public SubmitPageTests() => Ops.Answer<CheckPipelineRequest, CheckPipelineReply>("CheckPipeline", Check);

    [Fact]
    public void The_page_begins_with_an_example_in_form_and_file_and_its_plan()
    {
        var page = Ready();
        Assert.Equal("mini", page.Find("[data-field=name]").GetAttribute("value"));
        Assert.Equal("600Ki", page.Find("[data-field='stages[0].tokens']").GetAttribute("value"));
        Assert.Contains("600 steps", page.Find("[data-plan=pretrain]").TextContent);
    }

    [Fact]
    public void A_change_in_the_form_changes_that_value_in_the_file_and_nothing_else()
    {
        var page = Ready();
        var before = Text(page);
        Act(page, () => page.Find("[data-field='stages[0].sequenceLength']").Change("256"));
        page.WaitForAssertion(() => Assert.Equal(before.ReplaceFirst("sequenceLength: 128", "sequenceLength: 256"), Text(page)));
    }

    [Fact]
    public void A_change_in_the_file_changes_the_form()
    {
        var page = Ready();
        Act(page, () => page.Find("textarea").Input(Text(page).Replace("name: mini\n", "name: other\n", StringComparison.Ordinal)));
        page.WaitForAssertion(() => Assert.Equal("other", page.Find("[data-field=name]").GetAttribute("value")));
        Act(page, () => page.Find("textarea").Input("name: ["));
        page.WaitForAssertion(() => Assert.Contains("The form returns when the text can be read.", page.Markup));
    }

    [Fact]
    public void A_problem_stands_at_its_line_its_field_and_in_the_list_and_forbids_the_button()
    {
        var page = Ready();
        Act(page, () => page.Find("[data-field='stages[0].sequenceLength']").Change("100"));
        page.WaitForAssertion(
            () => Assert.Contains("is not a multiple of 64", page.Find("[data-problem='stages[0].sequenceLength']").TextContent));
        Assert.Contains("write 64 or 128", page.Markup);
        Assert.Equal("true", page.Find("[data-field='stages[0].sequenceLength']").GetAttribute("aria-invalid"));
        var line = Array.FindIndex(Text(page).Split('\n'), l => l.Contains("sequenceLength: 100", StringComparison.Ordinal)) + 1;
        Assert.Contains($"[{line},\"error\",", page.Find("ds-gutter").GetAttribute("problems"));
        Assert.True(SubmitButton(page).HasAttribute("disabled"));
        Assert.Contains("1 problem to fix", page.Find("[data-verdict]").TextContent);
    }

    [Fact]
    public void Submitting_goes_to_the_run()
    {
        Ops.Answer<SubmitRunRequest, SubmitRunReply>("SubmitRun", _ => new SubmitRunReply { Run = MiniRun(), Created = true });
        var page = Ready();
        Act(page, () => SubmitButton(page).Click());
        page.WaitForAssertion(() => Assert.EndsWith("/runs/mini", Navigation.Uri));
        Assert.Contains(Ops.Calls, c => c.Request is SubmitRunRequest { Text: var text } && text == Text(page));
    }

    /// <summary>A click in the pause before a check used to do nothing and say nothing.</summary>
    [Fact]
    public void A_click_right_after_typing_submits_what_was_typed()
    {
        Ops.Answer<SubmitRunRequest, SubmitRunReply>("SubmitRun", _ => new SubmitRunReply { Run = MiniRun(), Created = true });
        var page = Ready();
        Act(page, () => page.Find("textarea").Input(Text(page).Replace("seed: 1\n", "seed: 7\n", StringComparison.Ordinal)));
        Act(page, () => SubmitButton(page).Click());
        page.WaitForAssertion(
            () => Assert.Contains(Ops.Calls,
                c => c.Request is SubmitRunRequest { Text: var text } && text.Contains("seed: 7\n", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_refusal_is_shown_in_the_servers_words_and_nothing_is_lost()
    {
        Ops.Refuse("SubmitRun", StatusCode.AlreadyExists, "mini is another pipeline: seed 1 there, 2 here.");
        var page = Ready();
        Act(page, () => page.Find("[data-field=seed]").Change("2"));
        page.WaitForAssertion(() => Assert.False(SubmitButton(page).HasAttribute("disabled")));
        Act(page, () => SubmitButton(page).Click());
        page.WaitForAssertion(() => Assert.Equal("mini is another pipeline: seed 1 there, 2 here.", page.Find("[role=alert]").TextContent));
        Assert.Contains("seed: 2", Text(page));
    }

    [Fact]
    public void Checkpoints_of_an_unknown_run_are_gone_on_from_once_a_person_says_so()
    {
        Ops.Refuse("SubmitRun", StatusCode.FailedPrecondition,
            "Checkpoints of a run named mini that this database does not know lie in /checkpoints/mini.");
        var page = Ready();
        Act(page, () => SubmitButton(page).Click());
        page.WaitForAssertion(() => Assert.Contains("does not know", page.Find("[role=alert]").TextContent));
        Ops.Answer<SubmitRunRequest, SubmitRunReply>("SubmitRun", _ => new SubmitRunReply { Run = MiniRun(), Created = true });
        Act(page, () => page.FindAll("button").Single(b => b.TextContent.Trim() == "Go on from those checkpoints").Click());
        page.WaitForAssertion(() => Assert.EndsWith("/runs/mini", Navigation.Uri));
        Assert.Equal([false, true], Ops.Calls.Select(c => c.Request).OfType<SubmitRunRequest>().Select(r => r.Adopt));
    }

    [Fact]
    public void A_clone_begins_with_the_other_runs_text()
    {
        Ops.Answer<CloneRunRequest, CloneRunReply>("CloneRun", q => new CloneRunReply { Text = $"name: {q.NewName}\n" });
        Navigation.NavigateTo("/submit?clone=mini");
        var page = Render<SubmitPage>();
        page.WaitForAssertion(() => Assert.Equal("mini-2", page.Find("[data-field=name]").GetAttribute("value")));
    }

    [Fact]
    public void Without_a_control_plane_the_text_can_be_written_but_not_submitted()
    {
        Ops.Refuse("CheckPipeline", StatusCode.Unavailable, "");
        var page = Render<SubmitPage>();
        page.WaitForAssertion(() => Assert.Contains("The control plane cannot be reached.", page.Find("[data-verdict]").TextContent));
        Assert.True(SubmitButton(page).HasAttribute("disabled"));
    }

    private static CheckPipelineReply Check(CheckPipelineRequest request)
    {
        var lines = request.Text.Split('\n');
        var wrong = Array.FindIndex(lines, l => l.Contains("sequenceLength: 100", StringComparison.Ordinal));
        return wrong < 0
            ? new CheckPipelineReply
            {
                Plan = new PipelinePlan
                {
                    Name = "mini",
                    Stages = { new StagePlan { Name = "pretrain", Steps = 600, Ranks = 1, Nodes = 1 } },
                },
            }
            : new CheckPipelineReply
            {
                Problems =
                {
                    new Problem
                    {
                        Severity = Severity.Error, Line = wrong + 1, Column = 5, Field = "stages[0].sequenceLength", Value = "100",
                        Message = "is not a multiple of 64", Fix = "write 64 or 128",
                    },
                },
            };
    }

    private IRenderedComponent<SubmitPage> Ready()
    {
        Navigation.NavigateTo("/submit?example=mini");
        var page = Render<SubmitPage>();
        page.WaitForAssertion(() => Assert.Contains("Ready to submit", page.Find("[data-verdict]").TextContent));
        return page;
    }

    private static string Text(IRenderedComponent<SubmitPage> page) => page.Find("textarea").GetAttribute("value") ?? "";

    private static AngleSharp.Dom.IElement SubmitButton(IRenderedComponent<SubmitPage> page) =>
        page.FindAll("button").Single(b => b.TextContent.Contains("Submit run", StringComparison.Ordinal));
}

file static class Texts
{
    public static string ReplaceFirst(this string text, string old, string with)
    {
        var at = text.IndexOf(old, StringComparison.Ordinal);
        return string.Concat(text.AsSpan(0, at), with, text.AsSpan(at + old.Length));
    }
}
