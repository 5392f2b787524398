using Microsoft.Playwright;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>A page that is clicked on stays alive and true; one that has lost its server side says so and comes back.</summary>
[Collection(nameof(LiveRun))]
public sealed class PageLifeTests(LiveRun live)
{
    private const float Patient = Browser.Patient;
    private static readonly string[] Tabs = ["Charts", "Timeline", "Checkpoints", "Logs", "Results", "Pipeline file"];

    [Fact]
    public async Task Every_pair_of_tabs_can_be_clicked_on_a_live_run_and_the_step_still_moves_afterwards()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        await using var browser = await Live();
        var page = browser.Page;
        await page.EvaluateAsync("() => { window.neverReloaded = true; }");

        foreach (string tab in AllOrderedPairs(Tabs.Length).Select(t => Tabs[t]))
        {
            await page.GetByRole(AriaRole.Link, new() { Name = tab, Exact = true }).ClickAsync();
            await Assertions.Expect(page.Locator("nav.tabs a[aria-current=page]")).ToHaveTextAsync(tab, new() { Timeout = Patient });
        }

        string before = await Step(page).InnerTextAsync();
        await Assertions.Expect(Step(page)).Not.ToHaveTextAsync(before, new() { Timeout = Patient });
        Assert.True(await page.EvaluateAsync<bool>("() => window.neverReloaded === true"), "The page was loaded anew.");
        Assert.Empty(browser.Complaints);
    }

    [Fact]
    public async Task A_hundred_random_clicks_on_a_live_run_end_no_circuit_and_leave_no_error()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        await using var browser = await Live();
        var report = await RandomClicks.Run(browser.Page, browser.Page.Url, clicks: 100, seed: 20);
        Assert.True(report.EndedCircuits == 0, string.Join(Environment.NewLine, report.Trail.TakeLast(10)));
        Assert.Empty(browser.Complaints);
    }

    [Fact]
    public async Task A_page_whose_circuit_died_says_so_and_comes_back_by_itself_but_not_for_ever()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        await using var dsops = await Dsops.Start("--cluster", "simulated", "--nodes", "1");
        await using var browser = await Browser.Open();
        var page = browser.Page;
        await page.AddInitScriptAsync(KeepSockets);
        // By its own clock the page sees all the deaths within a minute, however slow the machine is.
        await page.Clock.SetFixedTimeAsync(new DateTime(2026, 1, 2, 12, 0, 0, DateTimeKind.Utc));
        await page.GotoAsync(dsops.Open("/?q=kept"));
        for (int death = 1; death <= 3; death++)
        {
            await page.Locator("[data-circuit=open]").WaitForAsync(new() { State = WaitForSelectorState.Attached });
            await page.EvaluateAsync("() => { window.beforeDeath = true; }");
            await page.EvaluateAsync(EndCircuit);
            await Assertions.Expect(page.GetByText("This page lost its server side, reloading"))
                .ToBeVisibleAsync(new() { Timeout = Patient });
            await page.WaitForFunctionAsync("() => !window.beforeDeath");
            Assert.EndsWith("/?q=kept", page.Url, StringComparison.Ordinal);
        }

        await page.Locator("[data-circuit=open]").WaitForAsync(new() { State = WaitForSelectorState.Attached });
        await page.EvaluateAsync(EndCircuit);
        await Assertions.Expect(page.GetByText("three times within a minute")).ToBeVisibleAsync(new() { Timeout = Patient });
    }

    /// <summary>The page of a run that trains for as long as the test looks.</summary>
    private async Task<Browser> Live()
    {
        var browser = await Browser.Open();
        await browser.Page.GotoAsync(live.Dsops.Open("/runs/live"));
        await browser.Page.Locator("[data-stage=pretrain]").WaitForAsync();
        return browser;
    }

    private static ILocator Step(IPage page) => page.Locator("[data-stage=pretrain] .row.ds-num").First;

    /// <summary>A walk that goes from each of n to each other once: the edges of the complete graph, without a break.</summary>
    private static IEnumerable<int> AllOrderedPairs(int n)
    {
        yield return 0;
        for (int low = 0; low < n; low++)
        {
            for (int high = low + 1; high < n; high++)
            {
                yield return high;
                // Back to the low one; from the last on to the next low one, and in the end to the beginning.
                yield return high + 1 < n ? low : low + 2 < n ? low + 1 : 0;
            }
        }
    }

    private const string KeepSockets = """
        const Real = window.WebSocket;
        window.sockets = [];
        window.WebSocket = class extends Real { constructor(...a) { super(...a); window.sockets.push(this); } };
        """;

    /// <summary>A change to an address of another site, which the browser never tells: the server ends such a circuit.</summary>
    private const string EndCircuit = """
        () => {
          const text = t => [0xa0 | t.length, ...[...t].map(c => c.charCodeAt(0))];
          const message = [0x95, 1, 0x80, 0xc0, ...text('OnLocationChanged'), 0x93, ...text('http://elsewhere/'), 0xc0, 0xc2];
          window.sockets.filter(s => s.url.includes('_blazor')).at(-1).send(new Uint8Array([message.length, ...message]));
        }
        """;
}
