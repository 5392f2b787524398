using Microsoft.Playwright;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>
/// One page with cookies and storage of its own, and all that it complained of. All are pages of one Chromium: to start one takes some
/// seconds of a core, a page takes a tenth of one.
/// </summary>
internal sealed class Browser : IAsyncDisposable
{
    public const string Chromium = "/usr/bin/chromium";
    public const float Patient = Eventually.PatientMilliseconds;

    private static readonly SemaphoreSlim Launching = new(1, 1);
    private static IPlaywright? playwright;
    private static IBrowser? chromium;

    private readonly List<string> complaints = [];

    private Browser(IPage page)
    {
        Page = page;
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
        var context = await (await Launched()).NewContextAsync(
            new BrowserNewContextOptions { ViewportSize = new ViewportSize { Width = width, Height = height }, ColorScheme = scheme });
        var page = await context.NewPageAsync();
        page.SetDefaultTimeout(Patient);
        Assertions.SetDefaultExpectTimeout(Patient);
        return new Browser(page);
    }

    /// <summary>Ends Chromium, if it was started; the next page starts it again.</summary>
    public static async Task Quit()
    {
        await (chromium?.DisposeAsync() ?? default);
        playwright?.Dispose();
        (playwright, chromium) = (null, null);
    }

    public async ValueTask DisposeAsync() => await Page.Context.CloseAsync();

    private static async Task<IBrowser> Launched()
    {
        await Launching.WaitAsync();
        try
        {
            playwright ??= await Playwright.CreateAsync();
            return chromium is { IsConnected: true } there ? there
                : chromium = await playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
                {
                    ExecutablePath = Chromium,
                    Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                        "--disable-component-update", "--disable-sync"],
                });
        }
        finally
        {
            Launching.Release();
        }
    }

    private void Complain(string text)
    {
        lock (complaints)
        {
            complaints.Add(text);
        }
    }
}
