using System.Globalization;
using Microsoft.Playwright;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>A person at the dashboard: submits a pipeline, watches the loss move, sees a rank die and the run come back.</summary>
public sealed class BrowserTests(Shared shared)
{
    private const float Patient = Eventually.PatientMilliseconds;

    [Fact]
    public async Task A_person_submits_watches_the_loss_and_sees_a_failover()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        await using var dsops = await Dsops.Start();
        await using var browser = await Browser.Open();
        var page = browser.Page;

        await Submit(page, dsops, TinyPipeline.Pretraining("seen", TinyPipeline.WithoutEnd));
        string first = await Loss(page, than: null);
        await Loss(page, than: first);
        await Assertions.Expect(page.Locator("ds-experts #map")).ToBeVisibleAsync(new() { Timeout = Patient });

        var stage = (await dsops.UntilStage("seen", "pretrain", "has a checkpoint", Eventually.Patience, s => (long)s["step"]! > 25));
        Dsops.Kill((int)stage["ranks"]![0]!["pid"]!);
        await Assertions.Expect(page.Locator("li.event", new() { HasText = "signal 9" }).First)
            .ToBeVisibleAsync(new() { Timeout = Patient });
        await Assertions.Expect(page.Locator("li.event", new() { HasText = "trains again" }).First)
            .ToBeVisibleAsync(new() { Timeout = Patient });
        await Assertions.Expect(page.Locator("ds-charts canvas").First).ToBeVisibleAsync(new() { Timeout = Patient });
        // Its last checkpoints are tried without it: nothing more is seen of it.
        Assert.Equal(0, (await dsops.Verb("cancel", "seen")).Code);
        await dsops.UntilRun("seen", "cancelled", Eventually.Patience);
        await TryCheckpoint(page, dsops);
        Assert.Empty(browser.Complaints);
    }

    [Fact]
    public async Task Nonsense_is_answered_at_its_line_and_cannot_be_submitted()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        var dsops = await shared.Idle;
        await using var browser = await Browser.Open();
        var page = browser.Page;
        await page.GotoAsync(dsops.Open("/submit"));
        await Fill(page, TinyPipeline.Pretraining("wrong", 10).Replace("team: tests", "teem: tests", StringComparison.Ordinal));
        await Assertions.Expect(page.GetByText("teem").Filter(new() { Visible = true }).First)
            .ToBeVisibleAsync(new() { Timeout = Patient });
        await Assertions.Expect(page.GetByRole(AriaRole.Button, new() { Name = "Submit run" }))
            .ToBeDisabledAsync(new() { Timeout = Patient });
    }

    /// <summary>A connection that breaks takes calls with it that nobody ever answers.</summary>
    [Fact]
    public async Task Colours_that_the_server_did_not_hear_of_are_told_again()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        var dsops = await shared.Idle;
        await using var browser = await Browser.Open();
        await browser.Page.GotoAsync(dsops.Open("/planner"));
        Assert.Equal(2, await browser.Page.EvaluateAsync<int>("""
            async () => {
              const theme = await import('/_content/DeepSeekOps.Dashboard/js/theme.js?of-its-own');
              let calls = 0;
              await new Promise(heard => theme.watch({
                invokeMethodAsync: () => ++calls === 1 ? new Promise(() => { }) : Promise.resolve().then(heard),
              }));
              return calls;
            }
            """));
    }

    private static async Task Submit(IPage page, Dsops dsops, string pipeline)
    {
        await page.GotoAsync(dsops.Open("/submit"));
        await Fill(page, pipeline);
        var submit = page.GetByRole(AriaRole.Button, new() { Name = "Submit run" });
        await Assertions.Expect(submit).ToBeEnabledAsync(new() { Timeout = Patient });
        await submit.ClickAsync();
        await page.WaitForURLAsync("**/runs/seen**", new() { Timeout = Patient });
    }

    /// <summary>From the run's checkpoints to a text by one of them, by keyboard, and the same again from the address alone.</summary>
    private static async Task TryCheckpoint(IPage page, Dsops dsops)
    {
        await page.GotoAsync($"{dsops.Http}/runs/seen?tab=checkpoints");
        await page.Locator("a[data-try]").First.ClickAsync(new() { Timeout = Patient });
        await page.WaitForURLAsync("**/try?run=seen&stage=pretrain&step=*", new() { Timeout = Patient });
        await page.Locator("[data-set=max]").FillAsync("20");
        await page.Locator("[data-prompt]").FillAsync("1+1");
        await Assertions.Expect(page.Locator("[data-generate]")).ToBeEnabledAsync(new() { Timeout = Patient });
        await page.Locator("[data-prompt]").PressAsync("Control+Enter");
        await Assertions.Expect(page.Locator("[data-text=made]")).ToBeVisibleAsync(new() { Timeout = Patient });
        string said = await page.Locator("[data-said]").InnerTextAsync();
        Assert.NotEmpty(said);
        Assert.True(
            double.TryParse(await page.Locator("[data-figure=rate]").InnerTextAsync(), CultureInfo.InvariantCulture, out double rate)
                && rate > 0);
        Assert.Matches(" %$", await page.Locator("[data-figure=acceptance]").InnerTextAsync());
        Assert.Contains("prompt=1%2B1", page.Url, StringComparison.Ordinal);

        await page.ReloadAsync();
        await Assertions.Expect(page.Locator("[data-generate]")).ToBeEnabledAsync(new() { Timeout = Patient });
        await page.Locator("[data-generate]").ClickAsync();
        await Assertions.Expect(page.Locator("[data-text=made]")).ToBeVisibleAsync(new() { Timeout = Patient });
        Assert.Equal(said, await page.Locator("[data-said]").InnerTextAsync());
    }

    private static async Task Fill(IPage page, string pipeline)
    {
        var editor = page.Locator("textarea[data-pipeline]");
        await editor.WaitForAsync(new() { Timeout = Patient });
        // The page is drawn before its circuit listens: the verdict comes from the circuit.
        await Assertions.Expect(page.Locator("[data-verdict]")).Not.ToBeEmptyAsync(new() { Timeout = Patient });
        await editor.FillAsync(pipeline);
    }

    private static async Task<string> Loss(IPage page, string? than)
    {
        var figure = page.Locator("[data-figure=loss]").First;
        await figure.WaitForAsync(new() { Timeout = Patient });
        return await Eventually.Get("the loss moves", Eventually.Patience, async () =>
        {
            string text = await figure.InnerTextAsync();
            return double.TryParse(text, CultureInfo.InvariantCulture, out _) && text != than ? text : null;
        });
    }
}
