using Microsoft.Playwright;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>
/// axe-core finds nothing on any page: at a desk and on a phone, light and dark, with a rank that runs and checkpoints that are deleted.
/// </summary>
public sealed class AccessibilityTests(AccessibilityTests.Live live) : IClassFixture<AccessibilityTests.Live>
{
    private static readonly string Axe =
        Path.Combine(AppContext.BaseDirectory, "../../../../tests/EndToEnd.Tests/node_modules/axe-core/axe.min.js");

    private static readonly string[] Pages =
    [
        "/runs/live?tab=checkpoints", "/runs/live", "/runs/live?tab=timeline", "/runs/live?tab=logs", "/runs/live?tab=results",
        "/runs/live?tab=pipeline",
        "/runs/live?tab=incidents", "/incidents", "/incidents/live/pretrain/1",
        "/", "/cluster", "/cluster?node=node-0", "/planner", "/try", "/submit", "/runs/nobody", "/nowhere",
    ];

    /// <summary>A run that trains for as long as pages are looked at, and has deleted checkpoints.</summary>
    public sealed class Live : IAsyncLifetime
    {
        internal Dsops Dsops { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Dsops = await Dsops.Start();
            await Dsops.Verb("submit", TinyPipeline.File(Dsops.DataDirectory, TinyPipeline.Pretraining("live", 1_000_000)));
            var trains = await Dsops.UntilStage("live", "pretrain", "trains", Eventually.Patience,
                s => (long)s["step"]! >= 12 && s["ranks"]!.AsArray().Count > 0 && (int)s["ranks"]![0]!["pid"]! > 0);
            Dsops.Kill((int)trains["ranks"]![0]!["pid"]!);
            await Dsops.UntilStage("live", "pretrain", "has more checkpoints than are kept", Eventually.Patience,
                s => (long?)s["checkpointStep"] >= 60);
        }

        public ValueTask DisposeAsync() => Dsops.DisposeAsync();
    }

    [Theory]
    [InlineData(1440, ColorScheme.Light)]
    [InlineData(1440, ColorScheme.Dark)]
    [InlineData(390, ColorScheme.Light)]
    [InlineData(390, ColorScheme.Dark)]
    public async Task Axe_finds_nothing_on_any_page(int width, ColorScheme scheme)
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        Assert.SkipUnless(File.Exists(Axe),
            "axe-core is not there (npm ci in tests/EndToEnd.Tests; bash tests/run does it where npm is installed)");
        await using var browser = await Browser.Open(width, width == 390 ? 844 : 1000, scheme);
        string axe = await File.ReadAllTextAsync(Axe, TestContext.Current.CancellationToken);
        var found = new List<string>();
        foreach (string path in Pages)
        {
            await browser.Page.GotoAsync(live.Dsops.Open(path));
            await browser.Page.Locator("[data-circuit=open]").WaitForAsync(new() { State = WaitForSelectorState.Attached });
            await browser.Page.WaitForFunctionAsync("() => !document.querySelector('main [aria-busy=true]')");
            // A button that is just being enabled has a colour between two.
            await browser.Page.WaitForFunctionAsync("() => document.getAnimations().every(a => !(a instanceof CSSTransition))");
            // Not as a script of the page: its policy lets in no others than its own.
            await browser.Page.EvaluateAsync(axe);
            found.AddRange((await browser.Page.EvaluateAsync<string[]>(Violations)).Select(v => $"{path}: {v}"));
            found.AddRange((await browser.Page.EvaluateAsync<string[]>(OutOfSight)).Select(v => $"{path}: {v}"));
            if (path.EndsWith("checkpoints", StringComparison.Ordinal))
            {
                Assert.True(await browser.Page.Locator("tr.gone").CountAsync() > 0, "no checkpoint is deleted yet");
            }
        }

        Assert.True(found.Count == 0, string.Join(Environment.NewLine, found));
    }

    /// <summary>
    /// What axe does not look at: the part that is shown is named within the window, and the heading that gets a new page's focus for
    /// readers of the screen has no ring, which says to others that something can be done there.
    /// </summary>
    private const string OutOfSight = """
        () => [...document.querySelectorAll('[aria-current=page]')]
          .filter(a => { const box = a.getBoundingClientRect(); return box.left < 0 || box.right > innerWidth; })
          .map(a => `'${a.innerText.trim()}' is the present part and lies outside of the window`)
          .concat([...document.querySelectorAll('h1[tabindex="-1"]')]
            .filter(h => { h.focus({ focusVisible: true }); return getComputedStyle(h).outlineStyle !== 'none'; })
            .map(h => `'${h.innerText.trim()}' has a ring, and nobody can act on it`))
        """;

    private const string Violations = """
        async () => (await axe.run(document, { resultTypes: ['violations'] })).violations
          .map(v => `${v.id} (${v.impact}) ${v.nodes.length}x, ${v.nodes[0].target.join(' ')}: ${v.nodes[0].failureSummary.replace(/\s+/g, ' ').slice(0, 200)}`)
        """;
}
