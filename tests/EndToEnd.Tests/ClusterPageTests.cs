using Microsoft.Playwright;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>A person at the map of 256 simulated nodes, and at the planner's sliders.</summary>
public sealed class ClusterPageTests
{
    private const float Patient = Eventually.PatientMilliseconds;

    private static readonly string Example = Path.Combine(AppContext.BaseDirectory, "../../../../deploy/examples/v3-half.yaml");

    [Fact]
    public async Task A_person_kills_one_of_256_nodes_by_keyboard_and_sees_the_run_recover()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        await using var dsops = await Dsops.Start("--cluster", "simulated", "--nodes", "256", "--time-factor", "100", "--submit", Example);
        await using var browser = await Browser.Open();
        var page = browser.Page;

        await page.GotoAsync(dsops.Open("/cluster"));
        await Assertions.Expect(page.Locator("[data-count=training]")).ToContainTextAsync("024", new() { Timeout = Patient });
        Assert.Equal(256, (await page.Locator("ds-heat").GetAttributeAsync("cells"))!.Split(' ').Length);
        await page.Locator("ds-heat canvas").FocusAsync();
        await page.Keyboard.PressAsync("ArrowRight");
        await page.Keyboard.PressAsync("Enter");
        await page.Locator("[data-node-panel=node-0001] [data-act=Kill]").ClickAsync(new() { Timeout = Patient });
        await page.Locator("[data-sure]").ClickAsync();
        await Assertions.Expect(page.Locator("[data-count=not-ready]")).ToContainTextAsync("1", new() { Timeout = Patient });

        // All of it: the summary of the run's page has the newest rows alone.
        await page.GotoAsync($"{dsops.Http}/runs/v3-half?tab=timeline");
        await Assertions.Expect(page.Locator("li.event", new() { HasText = "trains again" }).First)
            .ToBeVisibleAsync(new() { Timeout = Patient });
        await Assertions.Expect(page.Locator("li.event", new() { HasText = "killed by hand" }).First)
            .ToBeVisibleAsync(new() { Timeout = Patient });
        Assert.Empty(browser.Complaints);
    }

    [Fact]
    public async Task Each_move_of_a_slider_is_answered_with_another_figure()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        await using var dsops = await Dsops.Start("--cluster", "simulated", "--nodes", "1");
        await using var browser = await Browser.Open();
        var page = browser.Page;
        await page.GotoAsync(dsops.Open("/planner"));
        await Assertions.Expect(page.Locator("[data-figure=step] b")).ToHaveTextAsync("19.90 s", new() { Timeout = Patient });

        // How long an answer takes is a matter of the benchmark (`Benchmarks planner`): a machine may be busy.
        foreach (int stop in Enumerable.Range(0, 21).Select(i => i % 2 == 0 ? 8 : 12))
        {
            string before = await page.Locator("[data-figure=step] b").InnerTextAsync();
            Assert.NotEqual(before, await page.Locator("[data-dial=nodes]").EvaluateAsync<string>(Move, stop));
        }
    }

    /// <summary>Moves and waits until the figure is another: over the circuit, through the planner, and drawn.</summary>
    private const string Move = """
        (dial, stop) => new Promise(done => {
          const figure = document.querySelector('[data-figure=step] b');
          new MutationObserver((_, seen) => { seen.disconnect(); done(figure.innerText); })
            .observe(figure, { characterData: true, subtree: true, childList: true });
          dial.value = stop;
          dial.dispatchEvent(new Event('input', { bubbles: true }));
        })
        """;
}
