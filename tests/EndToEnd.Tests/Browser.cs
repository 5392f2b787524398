using Microsoft.Playwright;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>Chromium with one page, and all that the page complained of.</summary>
internal sealed class Browser : IAsyncDisposable
{
    public const string Chromium = "/usr/bin/chromium";
    public const float Patient = Eventually.PatientMilliseconds;

    private readonly IPlaywright playwright;
    private readonly IBrowser browser;
    private readonly List<string> complaints = [];

    private Browser(IPlaywright playwright, IBrowser browser, IPage page)
    {
        (this.playwright, this.browser, Page) = (playwright, browser, page);
        page.PageError += (_, error) => Complain(error);
        page.Console += (_, message) =>
        {
            if (message.Type == "error")
            {
                Complain($"{message.Text} ({message.Location})");
            }
        };
    }

    public static bool IsInstalled => File.Exists(Chromium);

    public static string Missing => $"{Chromium} is not installed (apt-get install chromium)";

    public IPage Page { get; }

    /// <summary>Errors that scripts threw and errors on the console, in the order they came.</summary>
    public string[] Complaints
    {
        get
        {
            lock (complaints)
            {
                return [.. complaints];
            }
        }
    }

    public static async Task<Browser> Open(int width = 1440, int height = 1000, ColorScheme scheme = ColorScheme.Light)
    {
        var playwright = await Playwright.CreateAsync();
        var browser = await playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = Chromium,
            Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync"],
        });
        var page =
            await browser.NewPageAsync(
                new BrowserNewPageOptions { ViewportSize = new ViewportSize { Width = width, Height = height }, ColorScheme = scheme });
        page.SetDefaultTimeout(Patient);
        Assertions.SetDefaultExpectTimeout(Patient);
        return new Browser(playwright, browser, page);
    }

    public async ValueTask DisposeAsync()
    {
        await browser.DisposeAsync();
        playwright.Dispose();
    }

    private void Complain(string text)
    {
        lock (complaints)
        {
            complaints.Add(text);
        }
    }
}
