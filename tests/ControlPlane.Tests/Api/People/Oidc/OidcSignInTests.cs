using System.Net;
using System.Security.Cryptography;
using System.Text;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Tests.Storage;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.People.Oidc;

/// <summary>People who come by their provider, from the first page to the last, and those who try to come otherwise. Two seconds.</summary>
public sealed class OidcSignInTests(OidcHost host, PrivatePostgres postgres) : OidcTest(host, postgres)
{
    [Theory, MemberData(nameof(Databases))]
    public async Task Somebody_signs_in_sees_his_own_name_acts_under_it_and_signs_out(DatabaseKind kind)
    {
        var on = await On(kind);
        using var browser = on.Browser();
        var asked = await browser.Get("/incidents?state=open");
        Assert.Equal(HttpStatusCode.Unauthorized, asked.Status);
        Assert.Contains("Sign in with 127.0.0.1", asked.Text, StringComparison.Ordinal);
        Assert.Contains("/sign-in/start?to=%2Fincidents%3Fstate%3Dopen", asked.Text, StringComparison.Ordinal);

        on.Provider.Claims = OidcHost.Person("ann", "platform");
        var page = await browser.Follow("/sign-in/start?to=%2Fincidents%3Fstate%3Dopen");
        Assert.Equal((HttpStatusCode.OK, $"{on.Pages}/incidents?state=open"), (page.Status, page.Address));
        Assert.Contains("ann@example.com", page.Text, StringComparison.Ordinal);
        Assert.Equal("openid profile email groups", on.Provider.Asked["scope"].ToString());
        string cookie = Assert.Single(browser.SetCookies, c => c.StartsWith("__Host-dsops-", StringComparison.Ordinal)
            && c.Contains("samesite=strict", StringComparison.OrdinalIgnoreCase));
        Assert.Contains("max-age=28800; path=/; secure; ", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("httponly", cookie, StringComparison.OrdinalIgnoreCase);
        // The pages' own besides.
        Assert.All(browser.SetCookies.Where(c => !c.StartsWith(".AspNetCore.Antiforgery", StringComparison.Ordinal)),
            c => Assert.StartsWith("__Host-dsops-", c, StringComparison.Ordinal));

        using var paused = await Post(browser, "/v1/cluster/nodes/node-0001:cordon");
        Assert.Equal(HttpStatusCode.OK, paused.StatusCode);
        var line = (await on.Acts("cordon-node"))[0];
        Assert.Equal("ann@example.com", line.Who);
        Assert.Equal($"sign-in of ann@example.com (admin of every team; ann at {on.Provider.Issuer})", line.By);
        using var again = await Post(browser, "/v1/cluster/nodes/node-0001:uncordon");
        var listed = (await on.Owner.ListTokensAsync(new ListTokensRequest(), cancellationToken: Cancelled)).Tokens
            .Last(t => t.Name == "ann@example.com");
        Assert.Equal(("admin", "live", "sign-in"), (listed.Role, listed.State, listed.By));
        Assert.Contains((await on.Acts("sign-in")), l => l.Target == listed.Id && l.Outcome == "done");

        var kept = browser.Cookies.GetCookieHeader(new Uri(on.Pages));
        using var noOrigin = await Post(browser, "/sign-out", origin: null);
        Assert.Equal(HttpStatusCode.Forbidden, noOrigin.StatusCode);
        using var foreign = await Post(browser, "/sign-out", origin: "https://evil.example.com");
        Assert.Equal(HttpStatusCode.Forbidden, foreign.StatusCode);
        using var ended = await Post(browser, "/sign-out");
        Assert.Equal(HttpStatusCode.OK, ended.StatusCode);
        // The cookie as somebody who copied it has it.
        using var thief = on.Browser();
        var tried = await thief.Get("/", request => request.Headers.Add("Cookie", kept));
        Assert.Equal(HttpStatusCode.Unauthorized, tried.Status);
        Assert.Contains("was signed out", tried.Text, StringComparison.Ordinal);
        Assert.Contains((await on.Acts("sign-out")), l => l.Target == listed.Id && l.Who == "ann@example.com");
    }

    [Fact]
    public async Task Keys_of_elliptic_curves_sign_too_and_a_new_key_is_fetched_when_a_token_names_it()
    {
        using var first = await Host.SignedIn("rotation", "everyone");
        Provider.Signer = SigningKey.Curve("second");
        Provider.Keys.Add(Provider.Signer);
        // At once, or after the five seconds in which tokens that nobody signed make us ask no second time.
        using var second = Host.Browser();
        using var again = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        while ((await second.Follow("/sign-in/start")).Status != HttpStatusCode.OK)
        {
            await again.WaitForNextTickAsync(Cancelled);
        }

        Provider.Signer = Provider.Keys[0];
        using var third = Host.Browser();
        Assert.Equal(HttpStatusCode.OK, (await third.Follow("/sign-in/start")).Status);
    }

    [Fact]
    public async Task A_role_and_a_team_are_what_the_claim_says_and_another_teams_run_is_refused()
    {
        using var browser = await Host.SignedIn("olaf", "nothing", "alpha-ops", "everyone");
        Assert.Contains("submit-run", (await browser.Get("/audit?run=of-alpha")).Text, StringComparison.Ordinal);
        Assert.Contains("is of another team", (await browser.Get("/audit?run=of-beta")).Text, StringComparison.Ordinal);
        foreach (string path in new[] { "/v1/runs/of-beta", "/v1/runs/of-beta/logs", "/series/buckets?run=of-beta&stage=a&name=loss" })
        {
            Assert.Equal(HttpStatusCode.Forbidden, (await browser.Get(path)).Status);
        }

        using var drained = await Post(browser, "/v1/cluster/nodes/node-0001:cordon");
        Assert.Equal(HttpStatusCode.Forbidden, drained.StatusCode);
        using var tokens = await Post(browser, "/v1/tokens", body: """{"name":"x","role":"viewer","team":"alpha"}""");
        Assert.Equal(HttpStatusCode.Forbidden, tokens.StatusCode);
    }

    [Fact]
    public async Task Who_has_no_value_that_is_mapped_is_told_who_he_is_and_what_to_ask_for()
    {
        Provider.Claims = OidcHost.Person("nora", "canteen", "football");
        using var browser = Host.Browser();
        var seen = await browser.Follow("/sign-in/start");
        Assert.Equal(HttpStatusCode.Forbidden, seen.Status);
        Assert.Contains($"You are nora@example.com, nora at {Provider.Issuer}", seen.Text, StringComparison.Ordinal);
        Assert.Contains("groups is canteen, football, and none of these is given a role here", seen.Text, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Unauthorized, (await browser.Get("/")).Status);
        Assert.Contains((await Host.Acts("sign-in")),
            l => l.Who == "nora@example.com" && l.Outcome.StartsWith("refused: You are nora", StringComparison.Ordinal));

        Provider.Claims = new() { ["sub"] = "nora" };
        Assert.Contains("the token has no claim groups", (await browser.Follow("/sign-in/start")).Text, StringComparison.Ordinal);
        // As a claim that is no list of names has it.
        Provider.Claims = new() { ["sub"] = "nora", ["groups"] = new { platform = true } };
        Assert.Equal(HttpStatusCode.Forbidden, (await browser.Follow("/sign-in/start")).Status);
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task With_the_next_sign_in_roles_are_read_anew_and_what_is_more_than_them_ends(DatabaseKind kind)
    {
        var on = await On(kind);
        using var asAdmin = await on.SignedIn("carl", "platform");
        using var made = await Post(asAdmin, "/v1/tokens", body: """{"name":"of-carl","role":"admin"}""");
        Assert.Equal(HttpStatusCode.OK, made.StatusCode);
        using var viewer = await Post(asAdmin, "/v1/tokens", body: """{"name":"of-carl-too","role":"viewer"}""");
        using var other = await on.SignedIn("dora", "platform");
        using var asViewer = await on.SignedIn("carl", "everyone");
        Assert.Equal(HttpStatusCode.Unauthorized, (await asAdmin.Get("/")).Status);
        Assert.Equal(HttpStatusCode.OK, (await asViewer.Get("/")).Status);
        Assert.Equal(HttpStatusCode.OK, (await other.Get("/")).Status);
        var tokens = (await on.Owner.ListTokensAsync(new ListTokensRequest(), cancellationToken: Cancelled)).Tokens;
        Assert.Equal("revoked", Assert.Single(tokens, t => t.Name == "of-carl").State);
        Assert.Equal("live", Assert.Single(tokens, t => t.Name == "of-carl-too").State);
        Assert.Contains(await on.Acts("revoke-token"),
            l => l.Why.StartsWith("its person signed in with less: carl", StringComparison.Ordinal));

        on.Provider.Claims = OidcHost.Person("carl", "canteen");
        using var none = on.Browser();
        await none.Follow("/sign-in/start");
        Assert.Equal(HttpStatusCode.Unauthorized, (await asViewer.Get("/")).Status);
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task A_token_that_somebody_of_the_provider_makes_ends_within_a_month_and_so_does_what_it_makes(DatabaseKind kind)
    {
        var on = await On(kind);
        using var admin = await on.SignedIn("emma", "platform");
        using var tooLong = await Post(admin, "/v1/tokens", body: """{"name":"x","role":"viewer","lasting":"2678400s"}""");
        Assert.Equal(HttpStatusCode.BadRequest, tooLong.StatusCode);
        Assert.Contains("a token that is made with it ends by",
            await tooLong.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
        using var channel = TokenChannel.To(on.Endpoints.Grpc, on.Provider.Token(OidcHost.Person("emma", "platform")));
        var made = await new OpsService.OpsServiceClient(channel).CreateTokenAsync(
            new CreateTokenRequest { Name = "ci", Role = "admin", Lasting = new() { Seconds = 86_400 } }, cancellationToken: Cancelled);
        using var second = TokenChannel.To(on.Endpoints.Grpc, made.Text);
        var child = await new OpsService.OpsServiceClient(second).CreateTokenAsync(
            new CreateTokenRequest { Name = "ci-2", Role = "viewer" }, cancellationToken: Cancelled);
        Assert.Equal(made.Token.ExpiresAt, child.Token.ExpiresAt);
    }

    [Fact]
    public async Task A_state_that_is_wrong_forged_missing_or_of_another_browser_signs_nobody_in()
    {
        Provider.Claims = OidcHost.Person("mallory", "platform");
        using var browser = Host.Browser();
        using var other = Host.Browser();
        var sent = await browser.Follow("/sign-in/start", last: $"{Host.Pages}/sign-in/callback");
        string state = System.Web.HttpUtility.ParseQueryString(new Uri(sent.Address).Query)["state"]!;
        int redeemed = Provider.CodesRedeemed;
        foreach (string address in new[]
        {
            "/sign-in/callback", "/sign-in/callback?code=code-1", "/sign-in/callback?code=code-1&state=x",
            $"/sign-in/callback?code=code-1&state={state[..^4]}AAAA", $"/sign-in/callback?code=code-1&state={new string('A', 20_000)}",
        })
        {
            var seen = await browser.Get(address);
            Assert.True(seen.Status is HttpStatusCode.Unauthorized or HttpStatusCode.RequestUriTooLong, $"{address}: {seen.Status}");
        }

        // Login CSRF: a link with the attacker's own code, opened by somebody else.
        Assert.Equal(HttpStatusCode.Unauthorized, (await other.Get(sent.Address)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await other.Get("/")).Status);
        Assert.Equal(redeemed, Provider.CodesRedeemed);
        Assert.Equal(HttpStatusCode.OK, (await browser.Get(sent.Address)).Status);
    }

    [Fact]
    public async Task A_code_and_state_that_are_shown_again_sign_nobody_in()
    {
        Provider.Claims = OidcHost.Person("rita", "everyone");
        using var browser = Host.Browser();
        var sent = await browser.Follow("/sign-in/start", last: $"{Host.Pages}/sign-in/callback");
        string cookies = browser.Cookies.GetCookieHeader(new Uri(Host.Pages));
        Assert.Equal(HttpStatusCode.OK, (await browser.Get(sent.Address)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await browser.Get(sent.Address)).Status);
        // With the cookies of before: the provider knows its code no more.
        using var thief = Host.Browser();
        Assert.Equal(HttpStatusCode.Unauthorized,
            (await thief.Get(sent.Address, request => request.Headers.Add("Cookie", cookies))).Status);
        Assert.DoesNotContain(thief.SetCookies, c => c.Contains("samesite=strict", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task Another_verifier_or_client_secret_redeems_no_code()
    {
        Provider.Claims = OidcHost.Person("paul", "everyone");
        using var browser = Host.Browser();
        var sent = await browser.Follow("/sign-in/start", last: $"{Host.Pages}/sign-in/callback");
        using var other = Host.Browser();
        var begun = await other.Follow("/sign-in/start", last: $"{Host.Pages}/sign-in/callback");
        // The other's state, with a code that was given for this one's challenge.
        string code = System.Web.HttpUtility.ParseQueryString(new Uri(sent.Address).Query)["code"]!;
        string mixed = begun.Address.Replace(
            System.Web.HttpUtility.ParseQueryString(new Uri(begun.Address).Query)["code"]!, code, StringComparison.Ordinal);
        var seen = await other.Get(mixed);
        Assert.Equal(HttpStatusCode.Unauthorized, seen.Status);
        Assert.Contains("Sign in again", seen.Text, StringComparison.Ordinal);
    }

    public static TheoryData<string, string> Forgeries => new()
    {
        { "wrong nonce", "its nonce is not ours" }, { "no nonce", "" }, { "another key", "does not show" }, { "alg none", "has signed" },
        { "HS256 with the public key", "" }, { "HS256 with the client's secret", "" }, { "wrong audience", "somebody else" },
        { "wrong issuer", "another issuer" }, { "expired", "expired on" }, { "not yet valid", "good from" }, { "no subject", "" },
        { "changed after it was signed", "has signed" }, { "a logout token", "neither an ID token" }, { "no token", "" },
    };

    [Theory]
    [MemberData(nameof(Forgeries))]
    public async Task An_ID_token_that_is_not_for_this_sign_in_signs_nobody_in(string which, string told)
    {
        Provider.Claims = OidcHost.Person("eve", "platform");
        long now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        var right = Provider.Keys[0];
        (Provider.Twist, Provider.Forge) = which switch
        {
            "wrong nonce" => (said => said["nonce"] = "another", null),
            "no nonce" => (said => said.Remove("nonce"), null),
            "another key" => (null, said => SigningKey.Rsa("elsewhere").Sign(said)),
            "alg none" => (null, said => right.AsNone().Sign(said)),
            "HS256 with the public key" => (null, said => right.AsSecret().Sign(said)),
            "HS256 with the client's secret" => (null, said => (right with
            {
                Algorithm = "HS256",
                Signature = bytes => HMACSHA256.HashData(Encoding.UTF8.GetBytes(TestProvider.ClientSecret), bytes),
            }).Sign(said)),
            "wrong audience" => (said => said["aud"] = "somebody-else", null),
            "wrong issuer" => (said => said["iss"] = "https://evil.example.com", null),
            "expired" => (said => (said["nbf"], said["exp"]) = (now - 600, now - 120), null),
            "not yet valid" => (said => (said["nbf"], said["exp"]) = (now + 120, now + 600), null),
            "no subject" => (said => said.Remove("sub"), null),
            "changed after it was signed" => (null, said =>
            {
                string[] parts = right.Sign(said).Split('.');
                said["groups"] = "platform";
                return $"{parts[0]}.{right.Sign(said).Split('.')[1]}.{parts[2]}";
            }
            ),
            "a logout token" => (null, said => right.Sign(said, "logout+jwt")),
            _ => ((Action<Dictionary<string, object>>?)null, (Func<Dictionary<string, object>, string>?)(_ => "")),
        };
        using var browser = Host.Browser();
        var seen = await browser.Follow("/sign-in/start");
        Assert.True(seen.Status == HttpStatusCode.Unauthorized, $"{which}: {seen.Status} {seen.Text}");
        Assert.Contains("Not signed in", seen.Text, StringComparison.Ordinal);
        Assert.Contains(told, seen.Text, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Unauthorized, (await browser.Get("/")).Status);
    }

    [Theory]
    [InlineData("https://evil.example.com/")]
    [InlineData("//evil.example.com")]
    [InlineData("/\\evil.example.com")]
    [InlineData("/\t/evil.example.com")]
    [InlineData("javascript:alert(1)")]
    [InlineData("/sign-in/start?to=/")]
    [InlineData("")]
    public async Task A_return_address_leads_to_a_page_of_ours_or_to_the_first(string to)
    {
        Provider.Claims = OidcHost.Person("olga", "everyone");
        using var browser = Host.Browser();
        var seen = await browser.Follow($"/sign-in/start?to={Uri.EscapeDataString(to)}");
        Assert.Equal((HttpStatusCode.OK, $"{Host.Pages}/"), (seen.Status, seen.Address));
    }

    [Fact]
    public async Task A_callback_that_another_site_posts_is_refused_and_one_that_carries_a_token_too()
    {
        Provider.Claims = OidcHost.Person("oscar", "platform");
        using var browser = Host.Browser();
        var sent = await browser.Follow("/sign-in/start", last: $"{Host.Pages}/sign-in/callback");
        using var form = new FormUrlEncodedContent(System.Web.HttpUtility.ParseQueryString(new Uri(sent.Address).Query) is var query
            ? query.AllKeys.Select(key => KeyValuePair.Create(key!, query[key]!)) : []);
        foreach (string? origin in new[] { Provider.Issuer, "https://evil.example.com", "null", null })
        {
            using var answer = await Post(browser, "/sign-in/callback", origin);
            Assert.True(answer.StatusCode is HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized, $"{origin}: {answer.StatusCode}");
        }

        string token = Provider.Token(OidcHost.Person("oscar", "platform"));
        var implicitly = await browser.Get($"{sent.Address}&id_token={token}");
        Assert.Equal(HttpStatusCode.Unauthorized, implicitly.Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await browser.Get("/")).Status);
    }

    [Fact]
    public async Task On_the_port_in_clear_nobody_signs_in_where_people_come_by_TLS()
    {
        using var browser = Host.Browser();
        var seen = await browser.Get($"{Host.Endpoints.Http}/sign-in/start");
        Assert.Equal(HttpStatusCode.Forbidden, seen.Status);
        Assert.Contains("People sign in at the address of --public-url", seen.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task HTML_and_escapes_in_a_name_are_text_everywhere()
    {
        const string name = "<script>alert(1)</script>\u001b[31m\u202egnp.exe";
        Provider.Claims = new() { ["sub"] = "hacker", ["name"] = name, ["groups"] = new[] { "everyone", "<img src=x>" } };
        using var browser = Host.Browser();
        var seen = await browser.Follow("/sign-in/start", last: $"{Host.Pages}/sign-in/callback");
        string raw = await (await browser.Get(seen.Address)).Answer.Content.ReadAsStringAsync(Cancelled);
        Assert.DoesNotContain("<script>", raw, StringComparison.Ordinal);
        string page = await (await browser.Get("/audit")).Answer.Content.ReadAsStringAsync(Cancelled);
        Assert.Contains("&lt;script&gt;alert(1)", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<script>alert", page, StringComparison.Ordinal);
        Assert.All([raw, page], text => Assert.DoesNotContain('\u202e', text));
        Assert.All([raw, page], text => Assert.DoesNotContain('\u001b', text));
        var line = (await Host.Acts("sign-in"))[0];
        Assert.Equal("<script>alert(1)</script> [31m gnp.exe", line.Who);
        Provider.Claims = new() { ["sub"] = "hacker\n2026 forged line", ["groups"] = new[] { "platform" } };
        Assert.Contains("named nobody", (await browser.Follow("/sign-in/start")).Text, StringComparison.Ordinal);
        // An address that the provider has not looked at is what somebody typed.
        Provider.Claims = new()
        {
            ["sub"] = "hans", ["email"] = "ann@example.com", ["email_verified"] = false, ["name"] = "Hans", ["groups"] = "everyone",
        };
        await browser.Follow("/sign-in/start");
        Assert.Equal("Hans", (await Host.Acts("sign-in"))[0].Who);
    }

    [Fact]
    public async Task Huge_claims_are_looked_through_or_refused_and_nothing_of_them_is_kept()
    {
        string[] groups = [.. Enumerable.Range(0, 5_000).Select(i => $"group-{i}"), "everyone"];
        Provider.Claims = new() { ["sub"] = "gross", ["name"] = new string('n', 50_000), ["groups"] = groups };
        using var browser = Host.Browser();
        var seen = await browser.Follow("/sign-in/start");
        Assert.True(seen.Status == HttpStatusCode.OK, $"{seen.Status}");
        Assert.Equal(100, (await Host.Acts("sign-in"))[0].Who.Length);
        Provider.Claims["name"] = new string('n', 2 << 20);
        var refused = await browser.Follow("/sign-in/start");
        Assert.True(refused.Status == HttpStatusCode.Unauthorized, $"{refused.Status}");
        Provider.Claims = new() { ["sub"] = new string('s', 256), ["groups"] = groups };
        Assert.Contains("named nobody", (await browser.Follow("/sign-in/start")).Text, StringComparison.Ordinal);
    }
}
