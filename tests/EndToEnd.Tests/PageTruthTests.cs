using System.Net;
using System.Net.Http.Headers;
using Microsoft.Playwright;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>What a page says holds: also while the server hangs, in a long text, and for who goes by keyboard.</summary>
public sealed class PageTruthTests(Shared shared) : IAsyncLifetime
{
    private const float Patient = Browser.Patient;

    private Dsops running = null!;

    private string Http => running.Http;

    public async ValueTask InitializeAsync() => running = await shared.Idle;

    public ValueTask DisposeAsync() => default;

    [Theory]
    [InlineData("/")]
    [InlineData("/cluster")]
    public async Task A_server_that_hangs_is_told_within_five_seconds_and_the_page_heals_without_a_reload(string path)
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        await using var browser = await Open(path);
        var page = browser.Page;
        await page.EvaluateAsync("() => { window.neverReloaded = true; }");
        var silence = page.Locator("#ds-silence");
        // Only what has been heard once can grow old.
        await page.Locator("ds-beat:not([of='health']):not([n='0'])").First.WaitForAsync(
            new() { State = WaitForSelectorState.Attached, Timeout = Patient });
        // The browser counts by its own clock from the last answer; the machine may be slow in showing it to the test.
        Dsops.Freeze(running.Pid);
        try
        {
            await Assertions.Expect(silence).ToBeVisibleAsync(new() { Timeout = Patient });
            Assert.Matches(@"has not answered since \d\d:\d\d:\d\d \([0-5] s\)", await page.EvaluateAsync<string>(FirstWords));
            await Assertions.Expect(page.Locator("ds-fresh[old]").First).ToBeVisibleAsync(new() { Timeout = Patient });
        }
        finally
        {
            Dsops.Thaw(running.Pid);
        }

        await Assertions.Expect(silence).ToBeHiddenAsync(new() { Timeout = Patient });
        await Assertions.Expect(page.Locator("ds-fresh[old]")).ToHaveCountAsync(0, new() { Timeout = Patient });
        Assert.True(await page.EvaluateAsync<bool>("() => window.neverReloaded === true"), "The page was loaded anew.");
    }

    [Fact]
    public async Task A_draft_survives_a_reload_and_a_walk_to_other_pages_and_can_be_let_go()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        await using var browser = await Open("/submit");
        var page = browser.Page;
        var editor = await Editor(page);
        string example = await editor.InputValueAsync();
        await editor.FillAsync("# mine\n" + example);
        await Assertions.Expect(page.Locator("[data-verdict]")).ToContainTextAsync("Ready", new() { Timeout = Patient });
        await page.ReloadAsync();
        await Assertions.Expect(await Editor(page)).ToHaveValueAsync("# mine\n" + example, new() { Timeout = Patient });
        await GoTo(page, "Cluster");
        await GoTo(page, "New run");
        await Assertions.Expect(await Editor(page)).ToHaveValueAsync("# mine\n" + example, new() { Timeout = Patient });
        await page.GetByRole(AriaRole.Button, new() { Name = "Start over" }).ClickAsync();
        await Assertions.Expect(editor).ToHaveValueAsync(example, new() { Timeout = Patient });
        Assert.Empty(browser.Complaints);
    }

    [Fact]
    public async Task The_link_of_a_problem_brings_its_line_into_sight_in_a_file_of_two_thousand_lines()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        await using var browser = await Open("/submit");
        var page = browser.Page;
        var editor = await Editor(page);
        string text = await editor.InputValueAsync();
        // As a paste does it, at once: typing two thousand lines is another matter.
        await editor.EvaluateAsync("(field, text) => { field.value = text; field.dispatchEvent(new Event('input', { bubbles: true })); }",
            string.Concat(Enumerable.Range(1, 2_000).Select(i => $"# line {i}\n"))
                + text.Replace("\nseed:", "\nseeed:", StringComparison.Ordinal));
        var link = page.Locator("[data-goto-line]").First;
        await link.WaitForAsync();
        int line = int.Parse((await link.GetAttributeAsync("data-goto-line"))!, System.Globalization.CultureInfo.InvariantCulture);
        Assert.True(line > 2_000);
        await link.ClickAsync();
        Assert.True(await page.EvaluateAsync<bool>(LineIsSeen, line));
        Assert.Equal(1, await page.EvaluateAsync<int>(Scrollers));
        string selected =
            await page.EvaluateAsync<string>("() => (f => f.value.slice(f.selectionStart, f.selectionEnd))(document.activeElement)");
        Assert.Contains("seeed", selected, StringComparison.Ordinal);
        Assert.Empty(browser.Complaints);
    }

    [Fact]
    public async Task The_planner_answers_on_a_local_cluster_and_examples_say_before_they_are_chosen_what_keeps_them_from_running_here()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        await using var browser = await Open("/planner");
        var page = browser.Page;
        await Assertions.Expect(page.Locator("[data-forecast=made]")).ToBeVisibleAsync(new() { Timeout = Patient });
        await page.GotoAsync($"{Http}/submit");
        var choice = page.GetByLabel("Begin with an example");
        await Assertions.Expect(choice).ToContainTextAsync("deepseek-v3 – too large for this cluster", new() { Timeout = Patient });
        await Assertions.Expect(choice).ToContainTextAsync("fine-tune – names files that are not here", new() { Timeout = Patient });
        await Assertions.Expect(choice).ToContainTextAsync("mini-gang – too large for this cluster", new() { Timeout = Patient });
        Assert.Equal(["mini", "deepseek-v3", "fine-tune", "mini-gang", "v3-half"],
            await choice.Locator("option").EvaluateAllAsync<string[]>("all => all.map(o => o.value)"));
    }

    [Theory]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public async Task Who_goes_by_keyboard_sees_where_he_is_on_every_page(ColorScheme scheme)
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        await using var browser = await Browser.Open(scheme: scheme);
        var page = browser.Page;
        foreach (string path in new[] { "/", "/cluster", "/planner", "/try", "/submit", "/nowhere" })
        {
            await page.GotoAsync(running.Open(path));
            await page.Locator("[data-circuit=open]").WaitForAsync(new() { State = WaitForSelectorState.Attached });
            var seen = new HashSet<string>();
            for (int stop = 0; stop < 80; stop++)
            {
                await page.Keyboard.PressAsync("Tab");
                string[] told = await page.EvaluateAsync<string[]>(FocusRing);
                if (told.Length == 0)
                {
                    // Beyond the last one the browser's own parts come, then the first.
                    continue;
                }

                if (told[1].Length > 0)
                {
                    // Colours change over to the scheme and to the focus within a moment: what counts is where they come to rest.
                    await Eventually.Is($"{path}: the ring around {told[0]} is seen ({told[1]})", Eventually.Patience, async () =>
                        await page.EvaluateAsync<string[]>(FocusRing) is [_, ""]);
                }

                if (!seen.Add(told[0]))
                {
                    break;
                }
            }

            Assert.True(seen.Count >= 7, $"{path} has {seen.Count} stops");
        }
    }

    [Fact]
    public async Task Runs_leads_to_the_list_and_a_page_answers_HEAD()
    {
        using var http = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false });
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", running.Token);
        using var runs = await http.GetAsync(new Uri($"{Http}/runs?q=mini"), TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.Redirect, "/?q=mini"),
            (runs.StatusCode, runs.Headers.Location?.OriginalString.Replace(Http, "", StringComparison.Ordinal)));
        foreach (string path in new[] { "/", "/cluster", "/submit", "/healthz", "/v1/runs" })
        {
            using var head =
                await http.SendAsync(new HttpRequestMessage(HttpMethod.Head, new Uri(Http + path)), TestContext.Current.CancellationToken);
            Assert.Equal((path, HttpStatusCode.OK, ""),
                (path, head.StatusCode, await head.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)));
        }
    }

    private async Task<Browser> Open(string path)
    {
        var browser = await Browser.Open();
        // What the bar said first, and when, kept by the page itself.
        await browser.Page.AddInitScriptAsync(KeepFirstWords);
        await browser.Page.GotoAsync(running.Open(path));
        await browser.Page.Locator("[data-circuit=open]").WaitForAsync(new() { State = WaitForSelectorState.Attached });
        return browser;
    }

    /// <summary>By its link in the menu, and until its heading stands there: an address changes at the click, and until the server has
    /// answered the page of before is still seen, with its buttons, which lead nowhere any more.</summary>
    private static async Task GoTo(IPage page, string name)
    {
        await page.GetByRole(AriaRole.Link, new() { Name = name, Exact = true }).ClickAsync();
        await page.GetByRole(AriaRole.Heading, new() { Name = name, Exact = true, Level = 1 }).WaitForAsync(new() { Timeout = Patient });
    }

    private static async Task<ILocator> Editor(IPage page)
    {
        var editor = page.Locator("textarea[data-pipeline]");
        await editor.WaitForAsync();
        await Assertions.Expect(page.Locator("[data-verdict]")).Not.ToBeEmptyAsync(new() { Timeout = Patient });
        return editor;
    }

    private const string KeepFirstWords = """
        document.addEventListener('DOMContentLoaded', () => {
          const bar = document.getElementById('ds-silence');
          new MutationObserver(() => { if (!bar.hidden) window.firstWords ??= bar.textContent; })
            .observe(bar, { attributes: true, childList: true, characterData: true, subtree: true });
        });
        """;

    private const string FirstWords = "() => window.firstWords";

    private const string LineIsSeen = """
        line => {
          const paper = document.querySelector('[data-paper]');
          const [frame, field] = [paper.getBoundingClientRect(), paper.querySelector('textarea').getBoundingClientRect()];
          const top = field.top + 10 + (line - 1) * 20;
          return top >= Math.max(0, frame.top) && top + 20 <= Math.min(innerHeight, frame.bottom);
        }
        """;

    /// <summary>Of the text, the paper and the card around it: how many have more than they show, from top to bottom.</summary>
    private const string Scrollers = """
        () => ['textarea[data-pipeline]', '[data-paper]', '.editor'].map(s => document.querySelector(s))
          .filter(e => e.scrollHeight > e.clientHeight + 1 && !['visible', 'clip'].includes(getComputedStyle(e).overflowY)).length
        """;

    /// <summary>
    /// What has the focus, and what is wrong with its ring: 2 px at least, and 3 : 1 against what is behind it (WCAG 2.2, 1.4.11).
    /// </summary>
    private const string FocusRing = """
        () => {
          const e = document.activeElement;
          if (!e || e === document.body) return [];
          const numbers = c => (c.match(/[\d.]+/g) ?? []).map(Number);
          const linear = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
          const light = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
          let behind = [255, 255, 255];
          for (let p = e.parentElement; p; p = p.parentElement) {
            const c = numbers(getComputedStyle(p).backgroundColor);
            if (c.length === 3 || c[3] > .9) { behind = c; break; }
          }
          const style = getComputedStyle(e);
          const [a, b] = [light(numbers(style.outlineColor)), light(behind)].sort((x, y) => y - x);
          const wrong = style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 2
            ? `outline ${style.outlineStyle} ${style.outlineWidth}`
            : (a + .05) / (b + .05) < 3 ? `contrast ${((a + .05) / (b + .05)).toFixed(2)}` : '';
          window.focusNames ??= new Map();
          const label = (e.getAttribute('aria-label') ?? e.textContent).trim().slice(0, 30);
          if (!window.focusNames.has(e)) window.focusNames.set(e, `${window.focusNames.size} ${e.tagName} ${label}`);
          return [window.focusNames.get(e), wrong];
        }
        """;
}
