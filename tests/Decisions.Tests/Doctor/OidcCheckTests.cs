using DeepSeekOps.Decisions.Doctor;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Doctor;

public sealed class OidcCheckTests
{
    private const string Authority = "https://login.example.com/realms/ops";

    private const string Back = "https://ops.example.com/sign-in/callback";

    private static readonly OidcFacts Facts = new(Authority)
    {
        Issuer = Authority, Clock = new ClockOffset(TimeSpan.Zero, TimeSpan.FromSeconds(1)), Redirects = [(Back, 200)], Public = true,
    };

    [Fact]
    public void A_provider_as_it_should_be_is_four_times_ok() =>
        Assert.Equal(["oidc.authority ok", "oidc.issuer ok", "oidc.clock ok", "oidc.redirect ok"],
            OidcCheck.Of(Facts).Select(f => $"{f.Check} {Diagnosis.Name(f.Level)}"));

    [Fact]
    public void One_that_gives_no_answer_is_the_one_thing_that_is_told()
    {
        var findings = OidcCheck.Of(Facts with { Trouble = "Connection refused." });
        Told.Is(FindingLevel.Fault, "gives no discovery document: Connection refused", findings, "oidc.authority");
        Assert.Contains("Who is signed in goes on", Assert.Single(findings).Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_sign_in_would_stumble_over_is_named()
    {
        Told.Is(FindingLevel.Fault, "calls itself 'https://other.example.com'",
            OidcCheck.Of(Facts with { Issuer = "https://other.example.com" }), "oidc.issuer");
        Told.Is(FindingLevel.Ok, "it calls itself", OidcCheck.Of(Facts with { Issuer = $"{Authority}/" }), "oidc.issuer");
        Told.Is(FindingLevel.Fault, "no usable token_endpoint ''", OidcCheck.Of(Facts with { Unusable = ["token_endpoint ''"] }),
            "oidc.authority");
        Told.Is(FindingLevel.Fault, "ahead of this machine", OidcCheck.Of(Facts with
        {
            Clock = new ClockOffset(TimeSpan.FromMinutes(5), TimeSpan.FromSeconds(1)),
        }), "oidc.clock");
    }

    [Theory]
    [InlineData(400, FindingLevel.Fault, "answers 400 to a sign-in that comes back to https://ops.example.com/sign-in/callback")]
    [InlineData(302, FindingLevel.Ok, "takes a sign-in that comes back to")]
    [InlineData(500, FindingLevel.NotKnown, "it answers 500")]
    [InlineData(null, FindingLevel.NotKnown, "it did not answer")]
    public void Whether_it_sends_people_back_is_asked(int? status, FindingLevel level, string words) =>
        Told.Is(level, words, OidcCheck.Of(Facts with { Redirects = [(Back, status)] }), "oidc.redirect");

    [Fact]
    public void Without_a_public_address_people_come_back_to_this_machine()
    {
        var findings = OidcCheck.Of(Facts with { Public = false, Redirects = [("http://127.0.0.1:5080/sign-in/callback", 200)] });
        Told.Is(FindingLevel.Warning, "which is on this machine alone", findings, "oidc.redirect");
    }
}
