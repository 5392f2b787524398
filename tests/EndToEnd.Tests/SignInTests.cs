using DeepSeekOps.ControlPlane.Tests.Api.People.Oidc;
using Microsoft.Playwright;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>A person before a browser and a provider that knows him: what cookies and redirects come to there. Five seconds.</summary>
public sealed class SignInTests
{
    private const string Session = "dsops-";

    [Theory]
    [InlineData(1440, 900, ColorScheme.Light, "--oidc-viewers")]
    [InlineData(390, 844, ColorScheme.Dark, "--oidc-admins")]
    public async Task Somebody_signs_in_by_clicking_sees_his_own_name_and_signs_out(int width, int height, ColorScheme scheme, string role)
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        await using var provider = await TestProvider.Start();
        provider.Claims = new() { ["sub"] = "17", ["name"] = "Ann <b>Bee</b>", ["groups"] = new[] { "everyone" } };
        await using var dsops = await Serve(provider, role);
        await using var browser = await Browser.Open(width, height, scheme);
        var page = browser.Page;
        // From another site, as its links are.
        await page.GotoAsync($"{provider.Issuer}/keys");
        await page.GotoAsync($"{dsops.Http}/cluster");
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Sign in" })).ToBeVisibleAsync();
        Assert.False(await page.EvaluateAsync<bool>("() => document.documentElement.scrollWidth > innerWidth"));
        await page.GetByRole(AriaRole.Link, new() { Name = "Sign in with 127.0.0.1" }).ClickAsync();
        await page.WaitForURLAsync($"{dsops.Http}/cluster");
        await page.Locator("[data-circuit=open]").WaitForAsync(new() { State = WaitForSelectorState.Attached });
        var leave = page.GetByRole(AriaRole.Button, new() { Name = "Sign out" });
        Assert.Equal("Sign out (Ann <b>Bee</b>)", await leave.GetAttributeAsync("title"));
        Assert.Equal(width > 700, await page.GetByText("Ann <b>Bee</b>").IsVisibleAsync());
        var cookies = await page.Context.CookiesAsync([dsops.Http]);
        var ours = Assert.Single(cookies,
            c => c.Name.StartsWith(Session, StringComparison.Ordinal) && c.SameSite == SameSiteAttribute.Strict);
        Assert.True(ours.HttpOnly);

        await leave.ClickAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Signed out" })).ToBeVisibleAsync();
        Assert.DoesNotContain(await page.Context.CookiesAsync([dsops.Http]), c => c.Name == ours.Name);
        await page.GotoAsync($"{dsops.Http}/cluster");
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Sign in" })).ToBeVisibleAsync();
        // Who is admin by the provider needs no code of the log.
        Func<Task<bool>> told = () => Task.FromResult(dsops.Output.Contains("First admin", StringComparison.Ordinal));
        await Eventually.Is("a first admin's code is told or not", Eventually.Patience,
            async () => role == "--oidc-admins" || await told());
        Assert.Equal(role == "--oidc-viewers", await told());
    }

    /// <summary>Pages that stand before the others, with a style of their own: who is there, who was refused, who has left.</summary>
    [Fact]
    public async Task Axe_finds_nothing_on_the_pages_of_signing_in_at_a_desk_and_on_a_phone_light_and_dark()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        Assert.SkipUnless(File.Exists(AccessibilityTests.Axe), AccessibilityTests.AxeMissing);
        await using var provider = await TestProvider.Start();
        await using var dsops = await Serve(provider, "--oidc-viewers");
        await using var browser = await Browser.Open();
        var (page, found) = (browser.Page, new List<string>());
        await Look("Sign in", "/cluster");
        provider.Claims = new() { ["sub"] = "18", ["name"] = "Nora", ["groups"] = new[] { "canteen" } };
        await Look("Not let in", "/sign-in/start");
        provider.Claims = new() { ["sub"] = "17", ["name"] = "Ann", ["groups"] = new[] { "everyone" } };
        await page.GotoAsync($"{dsops.Http}/sign-in/start?to=%2Fcluster");
        await page.Locator("[data-circuit=open]").WaitForAsync(new() { State = WaitForSelectorState.Attached });
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign out" }).ClickAsync();
        await Look("Signed out", null);
        Assert.True(found.Count == 0, string.Join(Environment.NewLine, found));

        async Task Look(string heading, string? path)
        {
            if (path is not null)
            {
                await page.GotoAsync($"{dsops.Http}{path}");
            }

            await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = heading, Exact = true })).ToBeVisibleAsync();
            await page.EvaluateAsync(await File.ReadAllTextAsync(AccessibilityTests.Axe, TestContext.Current.CancellationToken));
            var grounds = new HashSet<string>();
            foreach (var (width, height) in AccessibilityTests.Windows)
            {
                foreach (var scheme in AccessibilityTests.Schemes)
                {
                    await page.SetViewportSizeAsync(width, height);
                    await page.EmulateMediaAsync(new() { ColorScheme = scheme });
                    await page.EvaluateAsync("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))");
                    grounds.Add(await page.EvaluateAsync<string>("() => getComputedStyle(document.body).backgroundColor"));
                    foreach (string rule in new[] { AccessibilityTests.Violations, AccessibilityTests.OutOfSight })
                    {
                        found.AddRange((await page.EvaluateAsync<string[]>(rule)).Select(v => $"{heading} at {width}, {scheme}: {v}"));
                    }
                }
            }

            Assert.Equal(AccessibilityTests.Schemes.Length, grounds.Count);
        }
    }

    private static async Task<Dsops> Serve(TestProvider provider, string role)
    {
        string secret = Path.GetTempFileName();
        await File.WriteAllTextAsync(secret, TestProvider.ClientSecret, TestContext.Current.CancellationToken);
        var dsops = await Dsops.Serve("--cluster", "simulated", "--oidc-authority", provider.Issuer, "--oidc-client-id",
            TestProvider.Client, "--oidc-client-secret-file", secret, role, "everyone");
        File.Delete(secret);
        return dsops;
    }
}
