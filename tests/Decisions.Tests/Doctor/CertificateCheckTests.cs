using DeepSeekOps.Decisions.Doctor;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Doctor;

public sealed class CertificateCheckTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(-60, 30, FindingLevel.Ok, "is good until 2026-03-31 12:00 UTC")]
    [InlineData(-76, 14, FindingLevel.Ok, "is good until 2026-03-15 12:00 UTC")]
    [InlineData(-77, 13, FindingLevel.Warning, "expires on 2026-03-14 12:00 UTC, in 13 days")]
    [InlineData(-90, 0, FindingLevel.Fault, "expired on 2026-03-01 12:00 UTC")]
    [InlineData(1, 91, FindingLevel.Fault, "is good from 2026-03-02 12:00 UTC on only")]
    // One of six days, renewed every other one.
    [InlineData(-3, 3, FindingLevel.Ok, "is good until")]
    [InlineData(-5, 1, FindingLevel.Warning, "in 1 day")]
    public void Its_time_is_told_before_it_is_over(int from, int until, FindingLevel level, string words) =>
        Told.Is(level, words,
            CertificateCheck.Of(Facts with { From = Now.AddDays(from), Until = Now.AddDays(until) }, Now), "https.expiry");

    [Fact]
    public void A_file_that_cannot_be_used_is_the_one_thing_that_is_told()
    {
        var findings = CertificateCheck.Of(new CertificateFacts("a.crt") { Unusable = ("It cannot be read.", "Put it there.") }, Now);
        Told.Is(FindingLevel.Fault, "It cannot be read", findings, "https.certificate");
        Assert.Single(findings);
    }

    [Fact]
    public void A_public_name_that_it_is_not_made_for_is_named_with_those_it_is()
    {
        var facts = Facts with { Names = ["ops.example.org"], NotNamed = ["ops.example.com"] };
        Told.Is(FindingLevel.Fault, "does not cover ops.example.com of --public-url: it is made for ops.example.org",
            CertificateCheck.Of(facts, Now), "https.names");
        Told.Is(FindingLevel.Fault, "it names no host", CertificateCheck.Of(facts with { Names = [] }, Now), "https.names");
        Told.Is(FindingLevel.Ok, "it is made for ops.example.com", CertificateCheck.Of(Facts, Now), "https.names");
    }

    private static CertificateFacts Facts => new("a.crt") { From = Now.AddDays(-1), Until = Now.AddDays(89), Names = ["ops.example.com"] };
}
