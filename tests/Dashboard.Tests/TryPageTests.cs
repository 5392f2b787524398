using Bunit;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Pages.RunDetail;
using DeepSeekOps.Dashboard.Pages.Try;
using Grpc.Core;

namespace DeepSeekOps.Dashboard.Tests;

public sealed class TryPageTests : PageTest
{
    public TryPageTests() => Ops.Answer<ListCheckpointsRequest, ListCheckpointsReply>("ListCheckpoints", _ => new ListCheckpointsReply
    {
        Checkpoints =
        {
            Made(20, "deleted", "the newest 3 are kept"), Made(40, "quarantined", "model.safetensors has 3 bytes"), Made(60, "good"),
            Made(80, "final"),
        },
    });

    [Fact]
    public void The_text_appears_as_it_comes_with_its_figures()
    {
        var page = Ready("/try");
        Act(page, () => page.Find("[data-prompt]").Input("1+1="));
        Act(page, () => page.Find("[data-generate]").Click());
        Ops.Send("Generate", new GenerateReply { Phase = "loading", Step = 80 });
        page.WaitForAssertion(() => Assert.Equal("Loading step 80", page.Find("[data-ending]").TextContent));
        Ops.Send("Generate", new GenerateReply { Phase = "generating", Step = 80, Text = "2", Tokens = 1, Passes = 1, Seconds = 0.1 });
        page.WaitForAssertion(() => Assert.Equal("2", page.Find("[data-said]").TextContent));
        Ops.Send("Generate", new GenerateReply
        {
            Phase = "ended", Ended = "end-mark", Step = 80, Text = ", of course", Tokens = 12, Passes = 8, Guessed = 6, Kept = 4,
            Seconds = 0.5,
        });
        Ops.End("Generate");
        page.WaitForAssertion(() => Assert.Equal("2, of course", page.Find("[data-said]").TextContent));
        Assert.Equal("24.0", page.Find("[data-figure=rate]").TextContent);
        Assert.Equal("1.50", page.Find("[data-figure=per-pass]").TextContent);
        Assert.Equal("66.7 %", page.Find("[data-figure=acceptance]").TextContent);
        var asked = Assert.IsType<GenerateRequest>(Ops.Calls.Single(c => c.Method == "Generate").Request);
        Assert.Equal(("mini", "pretrain", "1+1=", false, 64), (asked.Run, asked.Stage, asked.Prompt, asked.HasStep, asked.MaxTokens));
    }

    [Fact]
    public void What_is_set_stands_in_the_address_and_comes_back_from_it()
    {
        var page = Ready("/try?run=mini&stage=pretrain&step=60&prompt=2%2B2%3D&chat=on&temperature=0.7&max=9&seed=-4&speculation=off");
        Assert.Equal("2+2=", page.Find("[data-prompt]").GetAttribute("value"));
        Act(page, () => page.Find("[data-set=temperature]").Input("0.9"));
        Act(page, () => page.Find("[data-generate]").Click());
        var asked = Assert.IsType<GenerateRequest>(Ops.Calls.Single(c => c.Method == "Generate").Request);
        Assert.Equal(
            new GenerateRequest
            {
                Run = "mini",
                Stage = "pretrain",
                Step = 60,
                Prompt = "2+2=",
                Chat = true,
                Temperature = 0.9,
                MaxTokens = 9,
                Seed = -4,
                NoSpeculation = true,
            },
            asked);
        Assert.Contains("temperature=0.9", Navigation.Uri, StringComparison.Ordinal);
        Assert.Contains("prompt=2%2B2%3D", Navigation.Uri, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(StatusCode.ResourceExhausted, "Another text is being made, by mini/extend step 40, and one is made at a time.")]
    [InlineData(StatusCode.FailedPrecondition,
        "The prompt has 500 tokens and up to 64 are to follow: together more than the 128 places of this model.")]
    [InlineData(StatusCode.FailedPrecondition, "The worker program is missing: build it with 'dotnet build -c Release Worker'.")]
    [InlineData(StatusCode.Aborted, "The worker program ended before its text did. It was ended by signal 9.")]
    public void A_refusal_is_shown_in_the_servers_words_and_what_was_typed_stays(StatusCode code, string words)
    {
        var page = Ready("/try");
        Act(page, () => page.Find("[data-prompt]").Input("a long story"));
        Act(page, () => page.Find("[data-generate]").Click());
        Ops.Send("Generate", new GenerateReply { Phase = "generating", Text = "Once", Tokens = 4, Passes = 4, Seconds = 1 });
        Ops.Break("Generate", code, words);
        page.WaitForAssertion(() => Assert.Equal(words, page.Find(".trouble").TextContent.Trim()));
        Assert.Equal("Once", page.Find("[data-said]").TextContent);
        Assert.Equal("a long story", page.Find("[data-prompt]").GetAttribute("value"));
        Assert.False(page.Find("[data-generate]").HasAttribute("disabled"));
    }

    [Fact]
    public void Stop_ends_the_stream_and_keeps_the_text()
    {
        var page = Ready("/try");
        Act(page, () => page.Find("[data-prompt]").Input("a"));
        Act(page, () => page.Find("[data-generate]").Click());
        Ops.Send("Generate", new GenerateReply { Phase = "generating", Text = "Once", Tokens = 4, Passes = 4, Seconds = 1 });
        page.WaitForAssertion(() => Assert.Equal("Once", page.Find("[data-said]").TextContent));
        Assert.True(page.Find("[data-generate]").HasAttribute("disabled"));
        Act(page, () => page.Find("[data-stop]").Click());
        page.WaitForAssertion(() => Assert.Equal("Stopped", page.Find("[data-ending]").TextContent));
        Assert.Equal(0, Ops.Open["Generate"]);
        Assert.Equal("Once", page.Find("[data-said]").TextContent);
    }

    [Theory]
    [InlineData("?step=20", "The checkpoint of step 20 was deleted: the newest 3 are kept. Choose a newer one.")]
    [InlineData("?step=40", "The checkpoint of step 40 was refused: model.safetensors has 3 bytes. Choose another one.")]
    [InlineData("?step=41", "pretrain has no checkpoint of step 41. Choose another one.")]
    [InlineData("?stage=extend", "extend has no checkpoint yet.")]
    [InlineData("?run=other", "There is no run named other.")]
    [InlineData("?run=mini&stage=other", "mini has no stage named other.")]
    public void What_cannot_be_tried_says_why_before_anybody_asks(string query, string words)
    {
        var page = Ready("/try" + query + "&prompt=a");
        page.WaitForAssertion(() => Assert.Contains(words, page.Find("[data-cannot]").TextContent, StringComparison.Ordinal));
        Assert.True(page.Find("[data-generate]").HasAttribute("disabled"));
        Assert.Equal("a", page.Find("[data-prompt]").GetAttribute("value"));
    }

    [Fact]
    public void A_simulated_run_has_no_weights_to_try()
    {
        var run = MiniRun();
        run.Simulated = true;
        var page = Ready("/try?prompt=a", run);
        page.WaitForAssertion(() => Assert.Contains("simulated", page.Find("[data-cannot]").TextContent, StringComparison.Ordinal));
        Assert.True(page.Find("[data-generate]").HasAttribute("disabled"));
    }

    [Theory]
    [InlineData("temperature", "warm", "Temperature 'warm' is not valid")]
    [InlineData("max", "0", "Most tokens '0' is not valid")]
    [InlineData("seed", "1.5", "Seed '1.5' is not valid")]
    public void A_setting_that_makes_no_sense_is_named_and_stays_as_typed(string setting, string value, string words)
    {
        var page = Ready("/try?prompt=a");
        Act(page, () => page.Find($"[data-set={setting}]").Input(value));
        Assert.Contains(words, page.Find("[data-hint]").TextContent, StringComparison.Ordinal);
        Assert.Equal(value, page.Find($"[data-set={setting}]").GetAttribute("value"));
        Assert.True(page.Find("[data-generate]").HasAttribute("disabled"));
    }

    [Fact]
    public void A_prompt_too_long_for_the_address_is_kept_on_the_page()
    {
        var page = Ready("/try");
        var story = new string('x', 9_000);
        Act(page, () => page.Find("[data-prompt]").Input(story));
        Act(page, () => page.Find("[data-set=speculation]").Change("off"));
        Act(page, () => page.Find("[data-generate]").Click());
        page.WaitForAssertion(() => Assert.Contains("speculation=off", Navigation.Uri, StringComparison.Ordinal));
        Assert.True(Navigation.Uri.Length < 500);
        Assert.Equal(story, page.Find("[data-prompt]").GetAttribute("value"));
        Assert.Contains("too long for the address", page.Markup, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_run_and_without_a_control_plane_the_page_says_so()
    {
        var page = Render<TryPage>();
        Ops.Break("WatchRuns", StatusCode.Unavailable, "");
        page.WaitForAssertion(() => Assert.Contains("cannot be reached", page.Find("[role=alert]").TextContent, StringComparison.Ordinal));
        Ops.Send("WatchRuns", new ListRunsReply());
        page.WaitForAssertion(() => Assert.Contains("No run yet", page.Markup, StringComparison.Ordinal));
    }

    [Fact]
    public void The_run_pages_checkpoints_lead_here_where_they_can_be_tried()
    {
        var table = Render<CheckpointTable>(p => p.Add(t => t.Run, MiniRun()));
        table.WaitForAssertion(
            () => Assert.Equal("/try?run=mini&stage=pretrain&step=60", table.Find("[data-try='60']").GetAttribute("href")));
        Assert.Equal(2, table.FindAll("[data-try]").Count);
    }

    private static Checkpoint Made(long step, string state, string reason = "") =>
        new() { Run = "mini", Stage = "pretrain", Step = step, State = state, Reason = reason, At = Noon };

    private IRenderedComponent<TryPage> Ready(string address, Run? run = null)
    {
        Navigation.NavigateTo(address);
        var page = Render<TryPage>();
        Ops.Send("WatchRuns", List(run ?? MiniRun()));
        page.WaitForAssertion(() => Assert.NotNull(page.Find("[data-pick=run]")));
        page.WaitForAssertion(
            () => Assert.True(page.FindAll("[data-cannot]").Count > 0 || page.FindAll("[data-pick=step] option").Count > 1));
        return page;
    }
}
