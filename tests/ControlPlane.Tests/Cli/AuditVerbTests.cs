using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Client;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class AuditVerbTests
{
    [Fact]
    public void An_anchor_is_a_number_with_its_hash()
    {
        var request = AuditVerb.RequestOf("12:5f3a9c00");
        Assert.Equal((12L, "5f3a9c00"), (request.Anchor, request.AnchorHash));
        Assert.Equal(0, AuditVerb.RequestOf(null).Anchor);
        Assert.All(["12", ":ab", "x:ab", "12:", "0:ab", "1:2:3"],
            text => Assert.Contains(
                "NUMBER:HASH", Assert.Throws<RefusalException>(() => AuditVerb.RequestOf(text)).Fix, StringComparison.Ordinal));
    }

    [Fact]
    public void A_verdict_names_lines_and_ends_with_what_to_note()
    {
        var good = new VerifyAuditReply { Lines = 1_204, Newest = 1_204, NewestHash = "5f3a9c00112233445566", OtherKeys = 3 };
        Assert.Equal(
            ["3 lines were sealed with a key that is not here any more: of them only the chain was checked.",
                "1,204 lines, each as it was written.", "Newest: --anchor 1204:5f3a9c0011223344"], AuditVerb.InWords(good));
        var finding = new AuditFinding { Line = 3, Words = "line 3 is missing" };
        var bad = new VerifyAuditReply { Lines = 7, Found = 101, Findings = { finding } };
        Assert.Equal(
            ["Line 3 is missing.", "There are 101 findings; these are the first of them.",
                "7 lines were read, and the log is not as it was written."], AuditVerb.InWords(bad));
    }
}
