using Microsoft.Playwright;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>
/// A person who clicks on anything: each click is drawn by a seed from all that can be clicked just then. Left out is only what ends the
/// work that is watched or begins other work: the last word of a question, and sending a run.
/// </summary>
internal static class RandomClicks
{
    private const string Clickable = """
        () => {
          const open = [...document.querySelectorAll('dialog[open], .mud-dialog')].at(-1) ?? document.body;
          const never = ['[data-sure]', '[data-submit]', '[data-lost-reload]', '[data-generate]', 'a[download]', 'a[href^="http"]',
            '.mud-dialog-actions .mud-button-filled', '[disabled]', '[aria-disabled=true]'].join();
          window.clickable = [...open.querySelectorAll('a[href], button, summary, select, input[type=checkbox], canvas')]
            .filter(e => !e.matches(never) && e.checkVisibility());
          return window.clickable.map(e => `${e.tagName.toLowerCase()} ${(e.getAttribute('aria-label') ?? e.textContent).trim().slice(0, 40)}`);
        }
        """;

    private const string Click = """
        ([at, choice]) => new Promise(done => {
          const e = window.clickable[at];
          if (e.isConnected && e.tagName === 'SELECT') {
            e.selectedIndex = Math.floor(choice * e.options.length);
            e.dispatchEvent(new Event('change', { bubbles: true }));
          } else if (e.isConnected) {
            e.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true, button: 0 }));
          }
          requestAnimationFrame(() => setTimeout(done, 0));
        })
        """;

    /// <summary>What shows that the page has lost its server side or had to be loaded anew since the mark was set.</summary>
    private const string Lost = """
        () => !window.clicksMark || !!document.querySelector('#ds-circuit-lost[open], #components-reconnect-modal[open]')
          || document.getElementById('blazor-error-ui')?.style.display === 'block'
        """;

    /// <param name="Trail">What was clicked, in order, each with the address it was clicked on.</param>
    public sealed record Report(int Clicks, int EndedCircuits, IReadOnlyList<string> Trail);

    public static async Task<Report> Run(IPage page, string start, int clicks, int seed)
    {
        var random = new Random(seed);
        var trail = new List<string>();
        int ended = 0;
        await Begin(page, start);
        while (trail.Count < clicks)
        {
            if (await page.EvaluateAsync<bool>(Lost))
            {
                ended++;
                await Begin(page, start);
            }

            string[] can = await page.EvaluateAsync<string[]>(Clickable);
            if (can.Length == 0)
            {
                // Nothing to click is an empty page: back to where there is something.
                await Begin(page, start);
                continue;
            }

            int at = random.Next(can.Length);
            trail.Add($"{new Uri(page.Url).PathAndQuery}: {can[at]}");
            await page.EvaluateAsync(Click, new object[] { at, random.NextDouble() });
        }

        ended += await page.EvaluateAsync<bool>(Lost) ? 1 : 0;
        return new Report(trail.Count, ended, trail);
    }

    /// <summary>A full load, and a circuit that listens.</summary>
    private static async Task Begin(IPage page, string start)
    {
        await page.GotoAsync(start);
        await page.Locator("[data-circuit=open]").WaitForAsync(new() { State = WaitForSelectorState.Attached });
        await page.EvaluateAsync("() => { window.clicksMark = true; }");
    }
}
