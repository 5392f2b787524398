using Microsoft.Playwright;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>
/// axe-core finds nothing on any page: at a desk and on a phone, light and dark, with a rank that runs and checkpoints that are deleted.
/// </summary>
[Collection(nameof(LiveRun))]
public sealed class AccessibilityTests(LiveRun live)
{
    internal static readonly string Axe =
        Path.Combine(AppContext.BaseDirectory, "../../../../tests/EndToEnd.Tests/node_modules/axe-core/axe.min.js");

    internal const string AxeMissing =
        "axe-core is not there (npm ci in tests/EndToEnd.Tests; bash tests/run does it where npm is installed)";

    private static readonly string[] Pages =
    [
        "/runs/live?tab=checkpoints", "/runs/live", "/runs/live?tab=timeline", "/runs/live?tab=logs", "/runs/live?tab=results",
        "/runs/live?tab=pipeline",
        "/runs/live?tab=incidents", "/incidents", "/incidents/live/pretrain/1", "/audit",
        "/", "/cluster", "/cluster?node=node-0", "/planner", "/try", "/submit", "/runs/nobody", "/nowhere",
    ];

    internal static readonly (int Width, int Height)[] Windows = [(1440, 1000), (390, 844)];

    /// <summary>What a browser's zoom of 200 % leaves of the desk.</summary>
    private static readonly (int Width, int Height) Zoomed = (720, 500);

    internal static readonly ColorScheme[] Schemes = [ColorScheme.Light, ColorScheme.Dark];

    /// <summary>Each page is loaded once: it follows the window and the system's scheme while it is open.</summary>
    [Fact]
    public async Task Axe_finds_nothing_on_any_page_at_a_desk_and_on_a_phone_light_and_dark()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        Assert.SkipUnless(File.Exists(Axe), AxeMissing);
        await using var browser = await Browser.Open();
        string axe = await File.ReadAllTextAsync(Axe, TestContext.Current.CancellationToken);
        var found = new List<string>();
        foreach (string path in Pages)
        {
            await browser.Page.GotoAsync(live.Dsops.Open(path));
            await browser.Page.Locator("[data-circuit=open]").WaitForAsync(new() { State = WaitForSelectorState.Attached });
            await browser.Page.WaitForFunctionAsync("() => !document.querySelector('main [aria-busy=true]')");
            // Not as a script of the page: its policy lets in no others than its own.
            await browser.Page.EvaluateAsync(axe);
            // What is folded away is not looked at, and its scrolling tables were out of a keyboard's reach.
            await browser.Page.EvaluateAsync("() => document.querySelectorAll('details').forEach(d => { d.open = true; })");
            foreach (var (width, height) in Windows)
            {
                foreach (var scheme in Schemes)
                {
                    await Show(browser.Page, width, height, scheme);
                    string at = $"{path} at {width}, {scheme}";
                    found.AddRange((await browser.Page.EvaluateAsync<string[]>(Violations)).Select(v => $"{at}: {v}"));
                    found.AddRange((await browser.Page.EvaluateAsync<string[]>(OutOfSight)).Select(v => $"{at}: {v}"));
                }
            }

            await Show(browser.Page, Zoomed.Width, Zoomed.Height, ColorScheme.Light);
            found.AddRange((await browser.Page.EvaluateAsync<string[]>(OutOfSight)).Select(v => $"{path} at {Zoomed.Width}: {v}"));

            if (path.EndsWith("checkpoints", StringComparison.Ordinal))
            {
                Assert.True(await browser.Page.Locator("tr.gone").CountAsync() > 0, "no checkpoint is deleted yet");
            }
        }

        Assert.True(found.Count == 0, string.Join(Environment.NewLine, found));
    }

    /// <summary>What is asked before something is done, and the help: 8 s on a quiet machine.</summary>
    [Fact]
    public async Task Axe_finds_nothing_on_any_dialog_and_Escape_leaves_it()
    {
        Assert.SkipUnless(Browser.IsInstalled && File.Exists(Axe), Browser.Missing);
        await using var browser = await Browser.Open();
        var (page, found) = (browser.Page, new List<string>());
        await page.GotoAsync(live.Dsops.Open("/runs/live?tab=incidents"));
        await page.Locator("[data-circuit=open]").WaitForAsync(new() { State = WaitForSelectorState.Attached });
        await page.EvaluateAsync(await File.ReadAllTextAsync(Axe, TestContext.Current.CancellationToken));
        foreach (string open in new[] { "Pause", "Cancel", "Hold automation", "?" })
        {
            var dialog = page.Locator(open == "?" ? "dialog#ds-keys[open]" : ".mud-dialog");
            await (open == "?" ? page.Keyboard.PressAsync("?") : page.Locator("main button", new() { HasText = open }).First.ClickAsync());
            await dialog.WaitForAsync();
            foreach (var (width, height) in Windows)
            {
                foreach (var scheme in Schemes)
                {
                    await Show(page, width, height, scheme);
                    found.AddRange((await page.EvaluateAsync<string[]>(Violations)).Select(v => $"{open} at {width}, {scheme}: {v}"));
                }
            }

            await page.Keyboard.PressAsync("Escape");
            await dialog.WaitForAsync(new() { State = WaitForSelectorState.Hidden });
            await Show(page, Windows[0].Width, Windows[0].Height, ColorScheme.Light);
        }

        Assert.True(found.Count == 0, string.Join(Environment.NewLine, found));
    }

    /// <summary>Returns when the page has followed: what it observes of its size is told within two frames.</summary>
    private static async Task Show(IPage page, int width, int height, ColorScheme scheme)
    {
        await page.SetViewportSizeAsync(width, height);
        await page.EmulateMediaAsync(new() { ColorScheme = scheme });
        await page.WaitForFunctionAsync(Follows, new object[] { width, scheme == ColorScheme.Dark });
        await page.EvaluateAsync("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))");
        await page.WaitForFunctionAsync("() => !document.querySelector('main [aria-busy=true]')");
        // A button that is just being enabled has a colour between two.
        await page.WaitForFunctionAsync("() => document.getAnimations().every(a => !(a instanceof CSSTransition))");
    }

    /// <summary>Some colours are the page's own; the others come from its server side once that has heard of the scheme.</summary>
    private const string Follows = """
        ([width, dark]) => {
          const probe = document.body.appendChild(document.createElement('i'));
          probe.style.color = 'var(--mud-palette-surface)';
          const surface = getComputedStyle(probe).color.match(/\d+/g).slice(0, 3);
          probe.remove();
          return innerWidth === width && surface.every(c => c < 128) === dark
            && (document.documentElement.dataset.theme === 'dark') === dark;
        }
        """;

    /// <summary>
    /// What axe does not look at: the part that is shown is named within the window, the page itself never scrolls sideways, and the
    /// heading that gets a new page's focus for readers of the screen has no ring, which says to others that something can be done there.
    /// </summary>
    internal const string OutOfSight = """
        () => [...document.querySelectorAll('[aria-current=page]')]
          .filter(a => { const box = a.getBoundingClientRect(); return box.left < 0 || box.right > innerWidth; })
          .map(a => `'${a.innerText.trim()}' is the present part and lies outside of the window`)
          .concat(document.documentElement.scrollWidth > innerWidth
            ? [`the page is ${document.documentElement.scrollWidth} px wide in a window of ${innerWidth}`] : [])
          .concat([...document.querySelectorAll('h1[tabindex="-1"]')]
            .filter(h => { h.focus({ focusVisible: true }); return getComputedStyle(h).outlineStyle !== 'none'; })
            .map(h => `'${h.innerText.trim()}' has a ring, and nobody can act on it`))
        """;

    internal const string Violations = """
        async () => (await axe.run(document, { resultTypes: ['violations'] })).violations
          .map(v => `${v.id} (${v.impact}) ${v.nodes.length}x, ${v.nodes[0].target.join(' ')}: `
            + v.nodes[0].failureSummary.replace(/\s+/g, ' ').slice(0, 200))
        """;
}
